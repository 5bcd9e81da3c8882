import { sessionAuth, sessionDown } from '../../src/contract/topics.ts'
import { everyDoor } from './every-door.ts'

everyDoor('session', {
  door: 'session',
  malformed: '/agent-1/ws/a%3Ab',
  goodbyes: { 1001: /^\{"type":"control","command":"goodbye",.*"reconnect_after_ms":\d+\}$/ },
  maxMessageBytes: 1024 * 1024,
  path: (id) => `/agent-1/ws/${id}`,
  admit: async ({ agent }, id) => {
    await agent.set(sessionAuth(id), 'token')
    return { Authorization: 'Bearer token' }
  },
  speak: ({ agent }, id, n, bytes) => agent.publish(sessionDown(id), JSON.stringify({ n, text: 'x'.repeat(bytes) })),
  numberOf: (frame) => JSON.parse(frame).n,
})

const HANGUP = /^\{"type":"hangup"\}$/

/** Locks with names of 1 KB make the frame large. */
const locks = (bytes: number) =>
  Object.fromEntries(Array.from({ length: bytes / 1024 }, (_, i) => [`locked:${i}-${'x'.repeat(1012)}`, 'true']))

everyDoor('run', {
  door: 'run',
  malformed: '/a%3Bb',
  goodbyes: { 1001: HANGUP, 1003: HANGUP, 1009: HANGUP },
  maxMessageBytes: 64 * 1024,
  path: (id) => `/${id}`,
  admit: async () => ({}),
  speak: ({ agent }, id, n, bytes) => agent.hSet(id, { ...(n === 1 && locks(bytes)), last_modified: String(n) }),
  numberOf: (frame) => JSON.parse(frame).last_modified,
})
