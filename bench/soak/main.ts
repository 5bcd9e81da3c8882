/**
 * The command line of the soak. The samples go to a file, a line every ten minutes to stderr and
 * the verdict to stdout. Exit status 1: the gateway grew, or sockets stayed deaf or closed.
 * Exit status 2: invalid arguments.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { machine, machineLine } from '../report/machine.ts'
import { align, number } from '../report/table.ts'
import { redisServer } from '../stage/installed.ts'
import { OURS } from '../subjects.ts'
import type { Growth } from './growth.ts'
import { runSoak, type SoakResult } from './soak.ts'

const SAMPLES = fileURLToPath(new URL('../../../bench/results/soak.jsonl', import.meta.url))
const SECOND = 1000
const MINUTE = 60 * SECOND
const SHOWN = 10

const positive = (text: string) => {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('A number above 0 is needed.')
}

interface Arguments {
  hours: number
  minutes?: number
  every: number
  sockets: number
  rate: number
  outage?: number
  samples: string
}

const command = new Command('soak')
  .description('Runs the gateway for hours under light traffic and outages, and fails when it grows.')
  .option('--hours <n>', 'how long', positive, 8)
  .option('--minutes <n>', 'how long, instead of --hours', positive)
  .option('--every <seconds>', 'the time between two samples', positive, 10)
  .option('--sockets <n>', 'sockets at each of the three doors', positive, 20)
  .option('--rate <n>', 'messages a second at each door', positive, 10)
  .option('--outage <seconds>', 'the time between two outages of Redis (default: a seventh, at most 600)', positive)
  .option('--samples <file>', 'the file for the samples, one JSON object a line', SAMPLES)
  .exitOverride()
  .action(run)

async function run({ hours, minutes, every, sockets, rate, outage, samples }: Arguments): Promise<void> {
  if (redisServer() === undefined) command.error('neither redis-server nor valkey-server is on the PATH')
  mkdirSync(dirname(samples), { recursive: true })
  writeFileSync(samples, '')
  process.stdout.write(`${machineLine(machine([]))}\n`)
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort()) // what was sampled so far is judged
  let said = 0
  const onSample = (atMs: number, values: Record<string, number>) => {
    appendFileSync(samples, `${JSON.stringify({ atMs: Math.round(atMs), ...values })}\n`)
    if (atMs < said + 10 * MINUTE) return
    said = atMs
    const { anonymousMb, files, handles, channels } = values
    const inShort = `${anonymousMb!.toFixed(1)} MB, ${files} files, ${handles} handles, ${channels} channels`
    process.stderr.write(`[${Math.round(atMs / MINUTE)} min] ${inShort}\n`)
  }
  const lengthMs = (minutes ?? hours * 60) * MINUTE
  const outageMs = outage === undefined ? Math.min(lengthMs / 7, 10 * MINUTE) : outage * SECOND
  const times = { lengthMs, outageMs, everyMs: every * SECOND }
  const load = { sockets: Math.ceil(sockets), rate }
  const result = await runSoak({ ...load, ...times, subject: OURS, onSample }, stop.signal)
  process.stdout.write(`\n${textOf(result)}\n`)
  process.exitCode = result.complaints.length > 0 || result.growths.some(({ grows }) => grows) ? 1 : 0
}

function textOf({ growths, complaints, samples, outages, cpuShare, counts }: SoakResult): string {
  const { opened, refused, published, received, sent } = counts
  const traffic = `${number(opened, 0)} connections (${number(refused, 0)} refused), ${number(published, 0)} messages published, ${number(received, 0)} received, ${number(sent, 0)} sent`
  return [
    `${number(samples, 0)} samples, ${outages} outages of Redis, gateway busy ${(cpuShare * 100).toFixed(1)} % of a core`,
    traffic,
    '',
    ...align([['', 'first', 'last', 'an hour', 'limit', 'rise', 'limit', ''], ...growths.map(rowOf)]),
    ...complaints.slice(0, SHOWN).map((complaint) => `! ${complaint}`),
  ].join('\n')
}

function rowOf({ series, first, last, perHour, rise, grows, why }: Growth): string[] {
  const { label, digits, slack } = series
  const signed = (value: number) => `${value > 0 ? '+' : ''}${value.toFixed(digits + 1)}`
  const judged = [signed(perHour), `+${series.perHour}`, signed(rise), `+${slack}`]
  if (why !== undefined) return [label, '', '', '', '', '', '', `TOO SHORT: ${why}`]
  return [label, first.toFixed(digits), last.toFixed(digits), ...judged, grows ? 'GROWS' : 'flat']
}

try {
  await command.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error // commander has already printed its message
  process.exitCode = error.exitCode === 0 ? 0 : 2
}
