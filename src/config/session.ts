import { boolean, duration, group, integer, oneOf, size } from './kinds.ts'

/** The settings of the session door. */
export const sessionSettings = group('Session door', {
  sessionUpstream: boolean('SESSION_UPSTREAM', {
    default: 'true',
    description: 'Publish client frames to `session:<id>:up`.',
  }),
  sessionBinary: oneOf(['refuse', 'pass'])('SESSION_BINARY', {
    default: 'refuse',
    description: '`pass`: binary client frames are published as they are. `refuse`: they close the socket with 1003.',
  }),
  sessionRefuse: oneOf(['http', 'close'])('SESSION_REFUSE', {
    default: 'http',
    description:
      '`http`: a refused upgrade is answered with its status, which browsers hide from the page. `close`: it is ' +
      'completed and closed at once, with a code that the page can read.',
  }),
  sessionFlowSignal: boolean('SESSION_FLOW_SIGNAL', {
    default: 'false',
    description: 'Report slow clients to agents: key `session:<id>:flow`, changes on channel `session:<id>:ctl`.',
  }),
  sessionRate: integer('SESSION_RATE', {
    default: '1000',
    unit: 'frames/s',
    description: 'Client frames per second and socket. 0: no limit.',
  }),
  sessionRateBurst: integer('SESSION_RATE_BURST', {
    default: '2000',
    minimum: '1',
    unit: 'frames',
    description: 'Client frames that one socket may send at once.',
  }),
  sessionByteRateBytes: size('SESSION_BYTE_RATE', {
    default: '8MiB',
    description:
      'Bytes of client frames per second and socket. Two seconds of it may come at once. ' +
      'An eighth of it for frames that are not JSON: beyond, the socket is closed. 0: no limit.',
  }),
  sessionResumePage: integer('SESSION_RESUME_PAGE', {
    default: '200',
    minimum: '1',
    maximum: '10000',
    unit: 'messages',
    description: 'Messages that are read at once from the log of a session. Fewer when they are large.',
  }),
  resumeTicketTtlMs: duration('RESUME_TICKET_TTL', {
    default: '10m',
    maximum: '24h',
    description:
      'Lifetime of a resume ticket, with which a client of `wsproxy.v2` comes back without a new token. A fresh one ' +
      'is sent at half of it. 0: no tickets.',
  }),
  resumeMaxLifetimeMs: duration('RESUME_MAX_LIFETIME', {
    default: '24h',
    minimum: '1s',
    description: 'No resume ticket is valid for longer after the admission by token that it goes back to.',
  }),
  httpStreams: boolean('HTTP_STREAMS', {
    default: 'true',
    description:
      'Serve sessions and live topics over plain HTTP, too: `/{agent}/sse/{session}`, `/{agent}/stream/{session}`, the ' +
      'tickets for them, and `/live/sse`.',
  }),
  ssePing: oneOf(['comment', 'event'])('SSE_PING', {
    default: 'comment',
    description: 'What a silent stream gets: a comment, or an event `ping` where a proxy removes comments.',
  }),
  ssePingIntervalMs: duration('SSE_PING_INTERVAL', {
    default: '15s',
    minimum: '100ms',
    description: 'A stream gets a ping this often, so that no proxy takes it for idle.',
  }),
  sseMaxLifetimeMs: duration('SSE_MAX_LIFETIME', {
    default: '30m',
    minimum: '1s',
    description:
      'A stream ends at this age, or up to a tenth earlier, and its client comes back at once. Its credential is ' +
      'checked again then.',
  }),
  sseTicketTtlMs: duration('SSE_TICKET_TTL', {
    default: '12h',
    minimum: '1s',
    // The secret of a day is accepted until the end of the next one.
    maximum: '24h',
    description: 'Lifetime of a ticket for streams, which may stand in a query. Its end bounds it, too.',
  }),
  sessionLogInstall: boolean('SESSION_LOG_INSTALL', {
    default: undefined,
    description:
      'Load the library with which agents write the log of a session into Redis 7. Unset: `true` except in ' +
      'production, where an operator runs `wsproxy redis install`.',
  }),
  sessionIdleTimeoutMs: duration('SESSION_IDLE_TIMEOUT', {
    default: '0',
    description: 'A socket without traffic in either direction for this long is closed with 4408. 0: never.',
  }),
  streamEndTimeoutMs: duration('STREAM_END_TIMEOUT', {
    default: '60s',
    description: 'A socket without traffic for this long after `stream_end` is closed with 1000. 0: never.',
  }),
})
