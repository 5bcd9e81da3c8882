import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { live, run, session } from '../../client/src/index.ts'
import { FakeSocket, freezeTime, settle } from './fake-socket.ts'

const MISSING = ['', undefined, null, 7, {}] as unknown as string[]

describe('a connection of the client', () => {
  beforeEach(() => freezeTime())
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  it('fails at once without an id or an agent, and says which is missing', async () => {
    const options = { WebSocket: FakeSocket, storage: null }
    for (const id of MISSING) {
      assert.throws(() => session('ws://gw', { ...options, agent: 'a', id }), /^Error: id is missing$/)
      assert.throws(() => session('ws://gw', { ...options, agent: id, id: 's' }), /^Error: agent is missing$/)
      assert.throws(() => run('ws://gw', { ...options, id }), /^Error: id is missing$/)
    }
    await settle()
    assert.equal(FakeSocket.made.length, 0)
  })

  it('fails at once without an address', async () => {
    const options = { agent: 'a', id: 's', WebSocket: FakeSocket, storage: null }
    for (const base of ['', undefined, null] as unknown as string[]) {
      for (const open of [session, run, live]) assert.throws(() => open(base, options), /^Error: base is missing$/)
    }
    await settle()
    assert.equal(FakeSocket.made.length, 0)
  })
})
