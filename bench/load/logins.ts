/**
 * The process of the bench that sends HTTP requests at a steady rate: logins with wrong passwords,
 * each of another account, or the same request to another path. It is a process of its own, so it
 * stops nothing that measures.
 */
import { Agent, request } from 'node:http'
import { serve } from './ipc.ts'

/** Requests come one by one. Ten at once would wait for each other, and messages for them. */
const STEP_MS = 1
const MAX_CONNECTIONS = 200

export interface LoginFlood {
  port: number
  path: string
  /** Addresses that the requests come from, in turn. */
  addresses: number
  perSecond: number
}

/** How often each status was answered. */
export type Answers = Record<string, number>

let answers: Answers = {}
let agent: Agent | undefined
let timer: NodeJS.Timeout | undefined
let sent = 0

function post({ port, path, addresses }: LoginFlood): void {
  const number = sent++
  const from = number % addresses
  const call = request({
    ...{ agent, port, host: '127.0.0.1', method: 'POST', path },
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': `198.${18 + ((from >> 16) & 1)}.${(from >> 8) & 255}.${from & 255}`,
    },
  })
  call.on('error', () => {})
  call.on('response', (response) => {
    answers[response.statusCode!] = (answers[response.statusCode!] ?? 0) + 1
    response.resume()
  })
  call.end(JSON.stringify({ email: `user-${number}@example.org`, password: 'wrong' }))
}

const commands = {
  /** Sends requests until `stop`. */
  flood: (order: LoginFlood) => {
    answers = {}
    agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS })
    const startedAt = performance.now()
    let due = 0
    timer = setInterval(() => {
      const until = ((performance.now() - startedAt) / 1000) * order.perSecond
      for (; due < until; due++) post(order)
    }, STEP_MS)
  },

  stop: (_: object): Answers => {
    clearInterval(timer)
    agent?.destroy()
    return answers
  },
}

export type LoginsCommands = typeof commands

serve(commands)
