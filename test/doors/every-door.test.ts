import { liveChannel, sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { say } from '../support/numbered.ts'
import { type DoorUnderTest, everyDoor } from './every-door.ts'

const session: DoorUnderTest = {
  door: 'session',
  malformed: { path: '/agent-1/ws/a%2Ab', status: 400, code: 'malformed-id' },
  goodbyes: { 1001: /^\{"type":"control","command":"goodbye",.*"reconnect_after_ms":\d+\}$/ },
  maxMessageBytes: 1024 * 1024,
  path: (id) => `/agent-1/ws/${id}`,
  admit: async ({ agent }, id) => {
    await agent.set(sessionAuth(id), 'token')
    return { Authorization: 'Bearer token' }
  },
  speak: ({ agent }, id, n, bytes) => agent.publish(sessionDown(id), JSON.stringify({ n, text: 'x'.repeat(bytes) })),
  numberOf: (frame) => JSON.parse(frame).n,
}
everyDoor('session', session)

everyDoor('numbered session', {
  ...session,
  protocol: 'wsproxy.v2',
  refusesByClose: true,
  lags: true,
  speak: ({ agent }, id, n, bytes) =>
    say(agent, id, JSON.stringify({ n, text: 'x'.repeat(bytes) }), '', { bytes: 64 * 1024 * 1024 }),
  numberOf: (frame) => (frame.startsWith('{') ? undefined : JSON.parse(frame.slice(frame.indexOf(' ') + 1)).n),
})

const stream: DoorUnderTest = {
  ...session,
  door: 'sse',
  stream: true,
  malformed: { path: '/agent-1/sse/a%2Ab', status: 400, code: 'malformed-id' },
  goodbyes: {
    1001: /^goodbye \{"reason":"draining","reconnect_after_ms":\d+\}$/,
    1008: /^goodbye \{"reason":"backpressure"/,
  },
  path: (id) => `/agent-1/sse/${id}`,
  numberOf: (frame) => (/^[a-z]/.test(frame) ? undefined : JSON.parse(frame).n),
}
everyDoor('stream', {
  ...stream,
  lags: true,
  speak: ({ agent }, id, n, bytes) =>
    say(agent, id, JSON.stringify({ n, text: 'x'.repeat(bytes) }), '', { bytes: 64 * 1024 * 1024 }),
})

const notice = (reason: string) => new RegExp(`^\\{"type":"disconnect_notice","reason":"${reason}"`)

const live: DoorUnderTest = {
  door: 'live',
  malformed: { path: '/api/dashboard/ws/nothing', status: 404, code: 'not-found' },
  goodbyes: {
    1001: notice('draining'),
    1003: notice('binary-frame'),
    1008: notice('backpressure'),
    1009: notice('message-too-large'),
  },
  // Up to 8 x 64 KiB is answered with an error frame, and a larger one is cut: live/input.test.ts.
  maxMessageBytes: undefined,
  env: { LIVE_TOPICS: 'topic-*', LIVE_MAX_DROPS: '1', LIVE_REFUSE: 'http' },
  path: (id) => `/live?subscriptions=topic-${id}`,
  admit: async () => ({}),
  speak: ({ agent }, id, n, bytes) =>
    agent.publish(liveChannel(`topic-${id}`), JSON.stringify({ n, text: 'x'.repeat(bytes) })),
  numberOf: (frame) => JSON.parse(frame).data?.n,
}
everyDoor('live', live)

const lastNotice = (reason: string) =>
  new RegExp(`^disconnect_notice \\{"type":"disconnect_notice","reason":"${reason}"`)
everyDoor('live stream', {
  ...live,
  door: 'live-sse',
  stream: true,
  malformed: { path: '/live/sse?view=nothing', status: 404, code: 'not-found' },
  goodbyes: { 1001: lastNotice('draining'), 1008: lastNotice('backpressure') },
  path: (id) => `/live/sse?subscriptions=topic-${id}`,
  numberOf: (frame) => JSON.parse(frame.slice(frame.indexOf(' ') + 1)).data?.n,
})

const HANGUP = /^\{"type":"hangup"\}$/

/** Locks with names of 1 KB make the frame large. */
const locks = (bytes: number) =>
  Object.fromEntries(Array.from({ length: bytes / 1024 }, (_, i) => [`locked:${i}-${'x'.repeat(1012)}`, 'true']))

everyDoor('run', {
  door: 'run',
  malformed: { path: '/a%3Ab', status: 400, code: 'malformed-id' },
  goodbyes: { 1001: HANGUP, 1003: HANGUP, 1008: HANGUP, 1009: HANGUP },
  maxMessageBytes: 64 * 1024,
  path: (id) => `/${id}`,
  admit: async () => ({}),
  speak: ({ agent }, id, n, bytes) => agent.hSet(id, { ...(n === 1 && locks(bytes)), last_modified: String(n) }),
  numberOf: (frame) => JSON.parse(frame).last_modified,
})
