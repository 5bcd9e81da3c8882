import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type Session, type SocketClass, session } from '../../client/src/index.ts'
import { gatewayFor } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { proxyFor } from '../support/proxy.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

/** `RESTART_CLIENTS=2000 RESTART_RATE=5000` measures what bench/NOTES.md says. */
const CLIENTS = Number(process.env.RESTART_CLIENTS ?? 100)
const MESSAGES_PER_SECOND = Number(process.env.RESTART_RATE ?? 1000)
const SECONDS = Number(process.env.RESTART_SECONDS ?? 4)
const TICK_MS = 20
const DIALS_AT_ONCE = 50

/** What one client has got: the messages arrive in order, and each one once. */
interface Reader {
  readonly id: string
  readonly chat: Session
  sent: number
  got: number
  doubled: number
  skipped: number
  gaps: number
}

describe('many clients of a gateway that restarts', () => {
  const suite = scopeOf(after)

  it('get every message of an agent once', async (t) => {
    const env = { LOG_LEVEL: 'warn' }
    const first = await gatewayFor(suite, { env })
    const second = await gatewayFor(suite, { env, redis: first.redis })
    const port = (url: string) => Number(new URL(url).port)
    const proxy = await proxyFor(suite, port(first.url))

    function open(id: string): Reader {
      const chat = session(`ws://127.0.0.1:${proxy.port}`, {
        agent: 'agent-1',
        id,
        token: () => first.token(id),
        from: 'start',
        storage: null,
        WebSocket: WebSocket as unknown as SocketClass,
      })
      const reader: Reader = { id, chat, sent: 0, got: 0, doubled: 0, skipped: 0, gaps: 0 }
      chat.on('gap', () => reader.gaps++)
      chat.on('message', ({ data }) => {
        if (data.n <= reader.got) reader.doubled++
        else reader.skipped += data.n - reader.got - 1
        reader.got = Math.max(reader.got, data.n)
      })
      atEnd(suite, () => chat.close())
      return reader
    }

    const readers: Reader[] = []
    while (readers.length < CLIENTS) {
      for (let i = 0; i < DIALS_AT_ONCE && readers.length < CLIENTS; i++) readers.push(open(`many-${readers.length}`))
      await eventually(() => readers.every(({ chat }) => chat.state.name === 'open'), 'the sessions')
    }

    const beganAt = Date.now()
    let said = 0
    let isSwitched = false
    const writes: Promise<unknown>[] = []
    while (said < MESSAGES_PER_SECOND * SECONDS) {
      const due = Math.min(((Date.now() - beganAt) / 1000) * MESSAGES_PER_SECOND, MESSAGES_PER_SECOND * SECONDS)
      for (; said < due; said++) {
        const reader = readers[said % CLIENTS]!
        writes.push(say(first.agent, reader.id, JSON.stringify({ n: ++reader.sent })))
      }
      if (!isSwitched && Date.now() - beganAt > (SECONDS * 1000) / 2) {
        isSwitched = true
        proxy.switchTo(port(second.url))
        void first.gateway.stop()
      }
      await sleep(TICK_MS)
    }
    await Promise.all(writes)
    const wroteMs = Date.now() - beganAt
    await eventually(() => readers.every(({ sent, got }) => got >= sent), 'the last messages')
    const sum = (name: 'doubled' | 'skipped' | 'gaps' | 'got') => readers.reduce((all, each) => all + each[name], 0)
    t.diagnostic(
      `${sum('got')} messages in ${wroteMs} ms to ${CLIENTS} clients, ${proxy.connections} connections, the last message ${Date.now() - beganAt - wroteMs} ms after the last write`,
    )
    assert.deepEqual([sum('skipped'), sum('doubled'), sum('gaps')], [0, 0, 0])
    assert.ok(proxy.connections >= 2 * CLIENTS, 'every client came to the second gateway')
  })
})
