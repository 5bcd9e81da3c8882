import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { closeCases } from '../../client/src/conformance/cases.gen.ts'
import { cases } from '../../client/src/conformance/cases.ts'
import { conform, type Target } from '../../client/src/conformance/conform.ts'
import { type SocketClass, session } from '../../client/src/index.ts'
import { part, tableRows } from '../support/pages.ts'
import { killAtExit } from '../support/processes.ts'

const Socket = WebSocket as unknown as SocketClass
const MAIN = fileURLToPath(new URL('../../client/src/conformance/main.js', import.meta.url))

function start({ url, agent, id, tokenUrl }: Target): () => void {
  const token = () => fetch(tokenUrl).then((response) => response.text())
  const chat = session(url, { agent, id, token, storage: null, WebSocket: Socket })
  return () => chat.close()
}

/** Dials at once after each close, with one token, and never brings a cursor. */
function startRude({ url, agent, id }: Target): () => void {
  let isStopped = false
  const dial = () => {
    if (isStopped) return
    const socket = new WebSocket(`${url}/${agent}/ws/${id}`, ['wsproxy.v2', 'bearer.dG9rZW4'])
    socket.on('error', () => {})
    socket.on('close', dial)
  }
  dial()
  return () => {
    isStopped = true
  }
}

describe('the conformance server', () => {
  it('finds nothing wrong with the client', async () => {
    const outcomes = await conform(start)
    assert.deepEqual(
      outcomes.filter(({ problem }) => problem !== undefined),
      [],
    )
    assert.ok(outcomes.length > closeCases.length)
  })

  it('finds what is wrong with a client that dials at once, with one token and without a cursor', async () => {
    const outcomes = await conform(
      startRude,
      cases.length,
      cases.filter(({ name }) => name !== 'silence'),
    )
    const problems = new Map(outcomes.map(({ name, problem }) => [name, problem]))
    for (const { code, reason, client, hasHint } of closeCases) {
      const problem = problems.get(`${code} ${reason}`)
      if (client === 'final') assert.equal(problem, 'it dialled again', reason)
      else if (client === 'new-token') assert.equal(problem, 'it came back with the token that was refused', reason)
      else if (hasHint) assert.match(problem ?? '', /^it came back after \d+ ms, before/, reason)
      else assert.equal(problem, undefined, reason)
    }
    assert.match(problems.get('goodbye') ?? '', /before the 1500 ms/)
    assert.match(problems.get('random pauses') ?? '', /^8 clients came back within \d+ ms/)
    assert.equal(problems.get('resume behind a gap'), 'its cursor is undefined, and should be e1.5')
  })

  it('says how to run it when it gets no command', async () => {
    const child = killAtExit(spawn(process.execPath, [MAIN], { stdio: ['ignore', 'ignore', 'pipe'] }))
    let text = ''
    child.stderr!.on('data', (chunk) => {
      text += chunk
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 2)
    assert.match(text, /^usage: wsproxy-client-conformance <command>/)
  })
})

describe('the page for authors of clients', () => {
  it('has every close, and what a client does after it', () => {
    const real = new Set(closeCases.map(({ code, client }) => `${code} ${client}`))
    const rows = tableRows(part('docs/guide/client-authors.md', 'closes'))
    assert.deepEqual(rows.map(([code, client]) => `${code} ${client}`).sort(), [...real].sort())
  })
})
