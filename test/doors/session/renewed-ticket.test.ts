import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Connection } from '../../../src/connection/connection.ts'
import { ClientFrames, type ClientFramesParts } from '../../../src/doors/session/client-frames.ts'
import { SessionState } from '../../../src/doors/session/state.ts'
import { eventually } from '../../support/wait.ts'

it('a fault while a renewed JWT gets its ticket ends that socket, and is no unhandled rejection', async () => {
  const thrown: unknown[] = []
  const fault = new Error('a fault of the tickets')
  const state = new SessionState('agent-1')
  state.grant = 0
  const parts = {
    options: { jsonMaxDepth: 32, sessionUpstream: 'publish' },
    enqueue: () => {},
    guard: (_: Connection, work: () => void) => {
      try {
        work()
      } catch (error) {
        thrown.push(error)
      }
    },
    renewals: { renew: (_: Connection, __: string, ___: unknown, answer: (end: number) => void) => answer(1) },
    tickets: { admit: () => Promise.reject(fault), begin: () => Promise.resolve() },
  }
  const connection = { subject: 's1', rights: {}, doorState: state, lastFrameAt: 0, active: () => {} }
  // The test runner fails this test for a rejection that is not handled.
  new ClientFrames(parts as unknown as ClientFramesParts).receive(
    connection as unknown as Connection,
    Buffer.from('{"type":"control","command":"auth","token":"a.b.c"}'),
  )
  await eventually(() => thrown.length > 0, 'the fault to reach the guard')
  assert.deepEqual(thrown, [fault])
})
