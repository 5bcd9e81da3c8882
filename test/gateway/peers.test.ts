import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { WorkerAnswer } from '../../src/contract/workers.ts'
import { type Peers, sessionsOfAll, withPeers } from '../../src/gateway/peers.ts'
import { json } from '../../src/http/response.ts'
import type { ApiRequest, Route } from '../../src/http/routes.ts'
import { eventually } from '../support/wait.ts'

const REQUEST = { headers: {}, query: new URLSearchParams(), body: Buffer.alloc(0) } as unknown as ApiRequest
const version: Route = { method: 'GET', path: '/version', answer: () => json('200 OK', { version: '1' }) }
const metrics: Route = { method: 'GET', path: '/metrics', answer: () => json('200 OK', {}) }
const state = { wanted: 2, missing: 0, isCurrent: true, startedAt: 0, restarts: 0, former: [] }

/** Other workers, which answer when the test says so. `asked` holds the open questions. */
function slowPeers(): { peers: Peers; asked: ((isThere: boolean) => void)[] } {
  const asked: ((isThere: boolean) => void)[] = []
  const ask: Peers['ask'] = () =>
    new Promise((resolve) => {
      asked.push((isThere) => resolve(isThere ? { answers: [], state } : undefined))
    })
  return { peers: { ask, serve: () => {}, last: async () => {} }, asked }
}

describe('what a worker asks the others', () => {
  it('is one question for all probes at the same moment, and another one behind it', async () => {
    const { peers, asked } = slowPeers()
    const [route] = withPeers([version], peers, 0, () => new Map())
    const answers = Array.from({ length: 1000 }, () => route!.answer(REQUEST))
    assert.equal(asked.length, 1)
    asked[0]!(true)
    for (const { body } of await Promise.all(answers)) assert.equal(JSON.parse(String(body)).workers, 2)
    const last = route!.answer(REQUEST)
    assert.equal(asked.length, 2)
    asked[1]!(true)
    await last
  })

  it('without an answer of the supervisor gives the own version, and no counters of one worker', async () => {
    const { peers, asked } = slowPeers()
    const [own, page] = withPeers([version, metrics], peers, 0, () => new Map())
    const answers = [own, page].map((route) => route!.answer(REQUEST))
    await eventually(() => asked.length === 2, 'both questions')
    for (const answer of asked) answer(false)
    const [first, second] = await Promise.all(answers)
    assert.deepEqual([first!.status, second!.status], ['200 OK', '503 Service Unavailable'])
  })

  it('are the sessions of each agent, and those of this worker alone without an answer', async () => {
    const own = () => new Map([['a', 1]])
    const asking = (answers: WorkerAnswer[] | undefined): Peers => ({
      ...slowPeers().peers,
      ask: async () => answers && { answers, state },
    })
    const body = JSON.stringify([
      ['a', 2],
      ['__proto__', 3],
    ])
    const three = asking([{ worker: 2, response: { status: '200 OK', type: '', body } }, { worker: 3 }])
    assert.deepEqual(
      [...(await sessionsOfAll(three, own))],
      [
        ['a', 3],
        ['__proto__', 3],
      ],
    )
    assert.deepEqual(await sessionsOfAll(asking(undefined), own), own())
    assert.deepEqual(await sessionsOfAll(undefined, own), own())
  })
})
