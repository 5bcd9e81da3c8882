import { boolean, duration, group, integer, oneOf, string } from './kinds.ts'

/** The settings of the run door. */
export const runSettings = group('Run door', {
  runDoor: boolean('RUN_DOOR', {
    default: 'true',
    description: 'Serve the run door. With `false` no path is a run, and keyspace notifications are not checked.',
  }),
  runPath: string('RUN_PATH', {
    default: '/',
    description: 'Path before the id of a run: `/`, or one segment such as `/runs/`.',
  }),
  runAuth: oneOf(['none', 'bearer'])('RUN_AUTH', {
    default: 'none',
    description: 'With `bearer`, the door requires the token in key `run:<id>:auth`, by the rules of session tokens.',
  }),
  runRefuse: oneOf(['http', 'close'])('RUN_REFUSE', {
    default: 'http',
    description:
      '`http`: a refused upgrade is answered with its status, which browsers hide from the page. `close`: it is ' +
      'completed and closed at once, with a code that the page can read.',
  }),
  runKeyPrefix: string('RUN_KEY_PREFIX', {
    default: '',
    description: 'Text with which every run id begins; the door refuses other ids. Empty: every hash may be a run.',
  }),
  runPingIntervalMs: duration('RUN_PING_INTERVAL', {
    default: '5s',
    minimum: '100ms',
    description: 'How often a socket gets `{"type":"ping"}`. The first one comes earlier, at random.',
  }),
  runPongTimeoutMs: duration('RUN_PONG_TIMEOUT', {
    default: '65s',
    minimum: '200ms',
    description: 'A client that sends no frame for this long is closed with 4408. Protocol pongs do not count.',
  }),
  runResyncIntervalMs: duration('RUN_RESYNC_INTERVAL', {
    default: '30s',
    description: 'How often a run is read again without an event, in case Redis lost a notification. 0: never.',
  }),
  runMaxFields: integer('RUN_MAX_FIELDS', {
    default: '20000',
    unit: 'fields',
    description: 'A hash with more fields is not read, and its run is shown as empty. 0: no limit.',
  }),
  runRedisMaxRetries: integer('RUN_REDIS_MAX_RETRIES', {
    default: '5',
    unit: 'reads',
    description: 'Consecutive failed reads of a run after which its sockets are closed with 1013. 0: never.',
  }),
  runRedisTimeoutMs: duration('RUN_REDIS_TIMEOUT', {
    default: '500ms',
    minimum: '10ms',
    description: 'How long one read of a run may take. Later, it counts as failed.',
  }),
  runRedisRetryBaseMs: duration('RUN_REDIS_RETRY_BASE', {
    default: '500ms',
    minimum: '1ms',
    description: 'Delay before the first retry of a failed read. It doubles with each further one.',
  }),
  runRedisRetryMaxMs: duration('RUN_REDIS_RETRY_MAX', {
    default: '5s',
    minimum: '1ms',
    description: 'Longest delay between two retries of a failed read.',
  }),
  runChecklistModule: string('RUN_CHECKLIST_MODULE', {
    default: undefined,
    description:
      'Path of a JavaScript module that replaces the checklist. Its default export is `{key: (fields: Map) => boolean}`.',
  }),
})
