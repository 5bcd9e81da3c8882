import { boolean, duration, group, size } from './kinds.ts'

/** The settings of sessions as streams over HTTP. */
export const streamSettings = group('Streams', {
  streamAppend: boolean('STREAM_APPEND', {
    default: 'false',
    description:
      'Accept `PUT`, `POST` and `DELETE` of `/{agent}/stream/{session}`, for agents without Redis: with `ADMIN_TOKEN`, ' +
      'or with a JWT that has the claim `publish: true`. The Redis user needs more rights then.',
  }),
  streamMaxBodyBytes: size('STREAM_MAX_BODY', {
    default: '1MiB',
    minimum: '1KiB',
    maximum: '64MiB',
    description: 'A larger body of a `PUT` or `POST` of a stream is refused with 413.',
  }),
  streamPollTimeoutMs: duration('STREAM_POLL_TIMEOUT', {
    default: '20s',
    minimum: '100ms',
    maximum: '10m',
    description: 'How long a long-poll of a stream waits for a message before it is answered with 204.',
  }),
})
