import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../../config/load.ts'
import { reasonOf } from '../../platform/reason.ts'
import type { Checklist } from './checklist.ts'

/**
 * Loads a custom checklist: the default export of the module at `path` (relative to the working
 * directory), with keys and rules as in checklist.ts.
 * @throws ConfigError when the module does not load, has no such export, or a rule does not return
 * true or false.
 */
export async function loadChecklist(path: string): Promise<Checklist> {
  const fail = (problem: string): never => {
    throw new ConfigError([`RUN_CHECKLIST_MODULE: ${path} ${problem}`])
  }
  const module = await import(pathToFileURL(resolve(path)).href).catch((error: Error) =>
    fail(`cannot be loaded: ${reasonOf(error)}`),
  )
  const table: unknown = module.default
  if (typeof table !== 'object' || table === null || Object.keys(table).length === 0) {
    return fail('has no default export of the shape {key: (fields) => boolean}')
  }
  for (const [key, rule] of Object.entries(table)) {
    if (typeof rule !== 'function') fail(`is broken at "${key}": it is not a function`)
    const answer = answerOf(rule)
    if (typeof answer !== 'boolean')
      fail(`is broken at "${key}": for an empty hash it returns ${String(answer)} instead of true or false`)
  }
  return table as Checklist
}

function answerOf(rule: (fields: ReadonlyMap<string, string>) => unknown): unknown {
  try {
    return rule(new Map())
  } catch (error) {
    return error
  }
}
