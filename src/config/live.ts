import { boolean, duration, group, integer, list, oneOf, size, string } from './kinds.ts'

/** The settings of the live door. */
export const liveSettings = group('Live door', {
  liveTopics: list('LIVE_TOPICS', {
    default: '',
    description: 'Topics in addition to the built-in ones: names, or prefixes followed by `*` (`build.*`).',
  }),
  liveTopicRoles: list('LIVE_TOPIC_ROLES', {
    default: '',
    description:
      'Topics for users of a role, as `alerts:operator,audit.*:admin`. Other topics are for `viewer`, which a client ' +
      'with `WS_AUTH_TOKEN` is. Needs `WS_AUTH_REQUIRED`. Empty: every role has every topic.',
  }),
  liveLast: list('LIVE_LAST', {
    default: '',
    description:
      'Topics whose last message is kept in Redis and sent to each socket that subscribes, marked `"retained":true`: ' +
      'names, or prefixes followed by `*`. Empty: none.',
  }),
  liveLastTtlMs: duration('LIVE_LAST_TTL', {
    default: '24h',
    minimum: '1s',
    description: 'How long the last message of a broadcast is kept. An agent sets the life of its own.',
  }),
  liveLastMaxBytes: size('LIVE_LAST_MAX_BYTES', {
    default: '128KiB',
    minimum: '1KiB',
    description: 'A larger last message is neither kept nor sent.',
  }),
  liveMaxSubscriptions: integer('LIVE_MAX_SUBSCRIPTIONS', {
    default: '10',
    minimum: '1',
    maximum: '1000',
    unit: 'topics',
    description: 'Topics that one socket may subscribe to.',
  }),
  liveRate: integer('LIVE_RATE', {
    default: '20',
    unit: 'frames/s',
    description: 'Client frames per second and socket. 0: no limit.',
  }),
  liveRateBurst: integer('LIVE_RATE_BURST', {
    default: '40',
    minimum: '1',
    unit: 'frames',
    description: 'Client frames that one socket may send at once.',
  }),
  liveByteRateBytes: size('LIVE_BYTE_RATE', {
    default: '512KiB',
    description: 'Bytes of client frames per second and socket. Two seconds of it may come at once. 0: no limit.',
  }),
  liveIdleTimeoutMs: duration('LIVE_IDLE_TIMEOUT', {
    default: '600s',
    description:
      'A socket without traffic in either direction for this long is closed with 4408. 0: never. Server-sent events are not closed.',
  }),
  liveMaxDrops: integer('LIVE_MAX_DROPS', {
    default: '5',
    minimum: '1',
    unit: 'frames',
    description: 'Consecutive frames dropped because the send buffer is full before the socket is closed with 1008.',
  }),
  liveCompression: boolean('LIVE_COMPRESSION', {
    default: 'false',
    description:
      'Offer permessage-deflate: fewer bytes on the wire for more CPU time and memory per socket. Frames under 250 bytes or over 128 KiB, ' +
      'and what would take more than a fifth of a core, are sent uncompressed.',
  }),
  liveRefuse: oneOf(['close', 'http'])('LIVE_REFUSE', {
    default: 'close',
    description:
      '`close`: a refused client is upgraded and closed with 4401 or 4403, codes that a browser shows to the page. ' +
      '`http`: the upgrade is answered with 401 or 403.',
  }),
  liveStart: oneOf(['view', 'none'])('LIVE_START', {
    default: 'view',
    description:
      '`view`: a socket starts with `connection_established` and the topics of its view. `none`: it gets nothing that ' +
      'it has not asked for.',
  }),
  livePath: string('LIVE_PATH', {
    default: '/live',
    description: 'Path of the live door: `/`, or one segment such as `/live`. The older names stay.',
  }),
  liveUnknownType: oneOf(['unknown-type', 'protocol-violation'])('LIVE_UNKNOWN_TYPE', {
    default: 'unknown-type',
    description: 'Code of the `error` frame that answers a client frame of an unknown type.',
  }),
  outboxTopics: list('OUTBOX_TOPICS', {
    default: '',
    description:
      'Topics on which clients may publish envelopes, as in `LIVE_TOPICS`: those whose JWT names them in ' +
      '`publish_topics`, and operators. Empty: no envelope is published.',
  }),
  outboxMaxPerDay: integer('OUTBOX_MAX_PER_DAY', {
    default: '10000',
    minimum: '1',
    unit: 'envelopes',
    description: 'Envelopes of one subject on one topic and day. Redis keeps a key of each for 7 days.',
  }),
  outboxLogLength: integer('OUTBOX_LOG_LENGTH', {
    default: '10000',
    minimum: '1',
    unit: 'envelopes',
    description: 'About so many envelopes of a topic stay in the stream `{live:<topic>}:outbox`.',
  }),
  wsAllowedOrigins: list('WS_ALLOWED_ORIGINS', {
    default: undefined,
    description: 'Origins of the live door. Unset: `ALLOWED_ORIGINS`.',
  }),
  wsAuthRequired: boolean('WS_AUTH_REQUIRED', {
    default: 'false',
    description: 'Require `WS_AUTH_TOKEN` or a JWT with `topics` from clients, in the same places as a session token.',
  }),
  wsAuthToken: string('WS_AUTH_TOKEN', {
    default: undefined,
    secret: true,
    description: 'Token shared by all live clients. Checked only with `WS_AUTH_REQUIRED=true`.',
  }),
})
