/**
 * A share of the clients of the crowd, in a process of its own, so that the process of the agents
 * has its core for them. It does what `crowd.ts` asks by messages, and answers each.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../random.ts'
import { accountOf, type Said, textOf } from './account.ts'
import { Reader } from './reader.ts'

/** What a share is asked. Clients are numbered from 0 within it. */
export type Order =
  | {
      readonly what: 'open'
      readonly names: readonly string[]
      readonly urls: readonly string[]
      readonly seed: number
    }
  | { readonly what: 'urls'; readonly urls: readonly string[] }
  | { readonly what: 'drop'; readonly client: number }
  | { readonly what: 'account'; readonly said: readonly Spoken[]; readonly patienceMs: number }

/** What an agent has said: so many messages, of which some were not confirmed. */
export interface Spoken {
  readonly length: number
  readonly unconfirmed: readonly number[]
}

export interface Report {
  readonly messages: number
  readonly connections: number
  readonly lost: number
  readonly told: number
  readonly duplicated: number
  readonly reordered: number
  readonly complaints: readonly string[]
}

const LOOK_MS = 100
const AT_ONCE = 100

/**
 * A Redis that is killed may have published what it had not written yet, and not confirmed: one
 * turn of its loop can serve the socket of a gateway between the two.
 */
const isExcused = (reason: string): boolean => reason === 'redis'

let urls: readonly string[] = []
let turn = 0
const readers: Reader[] = []

async function open(names: readonly string[], random: Random): Promise<void> {
  const options = { pauseMs: () => random.int(50, 1000) }
  for (let from = 0; from < names.length; from += AT_ONCE) {
    for (const name of names.slice(from, from + AT_ONCE))
      readers.push(new Reader(name, () => `${urls[turn++ % urls.length]}/a/ws/${name}`, options))
    while (readers.some(({ place }) => place === undefined)) await sleep(LOOK_MS)
  }
}

const saidBy = ({ length, unconfirmed }: Spoken): Said[] => {
  const missing = new Set(unconfirmed)
  return Array.from({ length }, (_, n) => ({ text: textOf(n, ''), offset: missing.has(n) ? 0 : n + 1 }))
}

async function account(said: readonly Spoken[], patienceMs: number): Promise<Report> {
  const hasAll = ({ place, ended }: Reader, i: number) => ended !== undefined || (place?.offset ?? 0) >= said[i]!.length
  for (const until = Date.now() + patienceMs; !readers.every(hasAll) && Date.now() < until; ) await sleep(LOOK_MS)
  const sums = { messages: 0, connections: 0, lost: 0, told: 0, duplicated: 0, reordered: 0 }
  const complaints: string[] = []
  for (const [i, { name, events, ended, connections }] of readers.entries()) {
    const all = saidBy(said[i]!)
    const found = accountOf({ name, events, said: all, upTo: all.length - 1, isExcused, isGone: () => false })
    if (ended !== undefined) complaints.push(`${name}: ${ended}`)
    complaints.push(...found.complaints)
    sums.messages += events.filter(({ kind }) => kind === 'message').length
    sums.connections += connections
    for (const sum of ['lost', 'told', 'duplicated', 'reordered'] as const) sums[sum] += found[sum]
  }
  return { ...sums, complaints }
}

async function obey(order: Order): Promise<Report | undefined> {
  if (order.what === 'account') return account(order.said, order.patienceMs)
  if (order.what === 'drop') readers[order.client]!.drop()
  else urls = order.urls
  if (order.what === 'open') await open(order.names, new Random(order.seed))
  return undefined
}

process.on('message', ({ id, order }: { id: number; order: Order }) => {
  void obey(order).then((report) => process.send?.({ id, report }))
})
