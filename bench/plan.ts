/**
 * Turns the command line into a plan: which scenarios run, with which settings, on which subjects.
 * Reports an invalid request before the first round.
 */
import { number } from './report/table.ts'
import { Impossible, type Scenario, type Settings } from './scenario.ts'
import { SCENARIOS } from './scenarios/all.ts'
import { openFilesLimit } from './stage/procfs.ts'
import type { Subject } from './subject.ts'
import { SUBJECTS } from './subjects.ts'

/** The settings that every scenario can take, by their command-line names. */
export interface Options {
  sockets?: number
  messages?: number
  rounds?: number
  rate?: number
  window?: number
  subject?: string[]
  quick?: boolean
  /** Leave out what other work on the machine changes: every figure but CPU. */
  cpuOnly?: boolean
  /** By scenario: settings instead of its defaults. */
  works?: Record<string, Partial<Settings>>
}

export interface Planned {
  scenario: Scenario
  settings: Settings
  /** The subjects that take part, in turn. */
  able: Subject[]
}

/** Reports what is left out, and why. */
export type LeaveOut = (what: string, why: string) => void

/** A longer round is given up. */
const LONGEST_S = 140
/** The open files of a process beside its sockets. */
const OTHER_FILES = 100

/** @throws Impossible when a name is unknown or a number cannot be measured. */
export function planOf(names: string[], options: Options, leaveOut: LeaveOut): Planned[] {
  const subjects = installed(chosen(SUBJECTS, subjectsOf(options), 'subject'), leaveOut)
  const planned = scenariosOf(names, options, leaveOut).map((scenario) => {
    const settings = settingsOf(scenario, options, leaveOut)
    refuseBeyond(scenario, settings)
    const able = partakers(scenario, subjects, leaveOut)
    return { scenario: options.cpuOnly ? withCpuOnly(scenario) : scenario, settings, able }
  })
  const some = planned.filter(({ able }) => able.length > 0)
  if (some.length === 0) throw new Impossible('no subject can run any of these scenarios')
  return some
}

const withCpuOnly = (scenario: Scenario): Scenario => ({
  ...scenario,
  metrics: scenario.metrics.filter(({ key, better }) => better === 'context' || /^cpu|CpuUs$|^perCore/.test(key)),
})

/**
 * The plan with what has to be built first. A subject that cannot be built is left out with the
 * reason.
 */
export function withBuilt(plan: Planned[], leaveOut: LeaveOut): Planned[] {
  const failed = new Set(
    [...new Set(plan.flatMap(({ able }) => able))].filter((subject) => !isBuilt(subject, leaveOut)),
  )
  return plan.map((one) => ({ ...one, able: one.able.filter((subject) => !failed.has(subject)) }))
}

function isBuilt({ name, build }: Subject, leaveOut: LeaveOut): boolean {
  try {
    build?.()
    return true
  } catch (error) {
    if (!(error instanceof Impossible)) throw error
    leaveOut(`skipped: ${name}`, error.message)
    return false
  }
}

/** Those with one of these names, or, where none has it, those whose names begin with it. */
function chosen<T extends { name: string }>(all: T[], names: string[] | undefined, kind: string): T[] {
  if (!names || names.length === 0) return all
  const meant = names.flatMap((name) => {
    const exact = all.filter((one) => one.name === name)
    const found = exact.length > 0 ? exact : all.filter((one) => one.name.startsWith(name))
    if (found.length === 0) throw new Impossible(`no ${kind} is called ${name}`)
    return found
  })
  return all.filter((one) => meant.includes(one))
}

/** The named scenarios, or all of them. Without names, a quick run leaves out the long ones. */
function scenariosOf(names: string[], { quick }: Options, leaveOut: LeaveOut): Scenario[] {
  const slow = names.length === 0 && quick ? SCENARIOS.filter(({ long }) => long) : []
  for (const { name } of slow) leaveOut(name, 'a quick run leaves it out unless it is named')
  return chosen(SCENARIOS, names, 'scenario').filter((scenario) => !slow.includes(scenario))
}

const subjectsOf = ({ quick, subject }: Options): string[] =>
  subject ?? SUBJECTS.filter(({ onRequest }, place) => (quick ? place < 2 : !onRequest)).map(({ name }) => name)

/** The installed subjects. Each missing one is reported. */
function installed(subjects: Subject[], leaveOut: LeaveOut): Subject[] {
  return subjects.filter(({ name, missing }) => {
    const why = missing?.()
    if (why !== undefined) leaveOut(`skipped: ${name}`, why)
    return why === undefined
  })
}

/** The subjects that take part in a scenario. Each one that cannot is reported with the reason. */
function partakers(scenario: Scenario, subjects: Subject[], leaveOut: LeaveOut): Subject[] {
  const { subjects: those } = scenario
  if (those && subjects.some(({ name }) => !those.includes(name))) leaveOut(scenario.name, `only ${those} can do it`)
  return subjects.filter(({ name, cannot = {} }) => {
    if (those && !those.includes(name)) return false
    const why = Object.entries(cannot).find(([beginning]) => scenario.name.startsWith(beginning))?.[1]
    if (why !== undefined) leaveOut(`${scenario.name}: without ${name}`, why)
    return why === undefined
  })
}

/** The command-line options, and the setting behind each. */
const FLAGS = [
  ['sockets', 'sockets'],
  ['messages', 'messages'],
  ['window', 'window'],
  ['rate', 'perSecond'],
  ['rounds', 'rounds'],
] as const

/**
 * The defaults of a scenario, changed by the given settings that it uses. Without a given number of
 * messages, another rate keeps the duration.
 */
export function settingsOf(
  scenario: Scenario,
  { quick, works = {}, ...options }: Options,
  leaveOut: LeaveOut,
): Settings {
  const { name, uses, defaults } = scenario
  const base = { ...defaults, ...(quick && scenario.quick), ...works[name] }
  const given: Partial<Settings> = {}
  for (const [flag, key] of FLAGS) {
    const value = options[flag]
    if (value === undefined) continue
    if (key === 'rounds' || uses.includes(key)) given[key] = value
    else leaveOut(`${name}: without --${flag}`, 'it has no such setting')
  }
  const { perSecond, messages } = given
  if (perSecond !== undefined && messages === undefined)
    given.messages = Math.ceil((base.messages / base.perSecond) * perSecond)
  return { ...base, ...given }
}

function refuseBeyond({ name, uses, open }: Scenario, settings: Settings): void {
  const { messages, perSecond, sockets } = settings
  const seconds = uses.includes('perSecond') ? messages / perSecond : 0
  if (seconds > LONGEST_S)
    throw new Impossible(
      `${name}: ${number(messages, 0)} messages at ${number(perSecond, 0)} a second take ${number(seconds, 0)} s, and a round ends after ${LONGEST_S} s`,
    )
  const files = (open?.(settings) ?? sockets) + OTHER_FILES
  if (files > openFilesLimit())
    throw new Impossible(
      `${name}: ${number(files, 0)} open files in one process are needed, and the limit is ${number(openFilesLimit(), 0)} (ulimit -n)`,
    )
}
