import { duration, group } from './kinds.ts'

/** The settings that end silent sockets and the process. */
export const livenessSettings = group('Timeouts and shutdown', {
  pingIntervalMs: duration('PING_INTERVAL', {
    default: '25s',
    minimum: '100ms',
    description:
      'A client that sends nothing for this long gets a protocol ping. The first ping comes earlier, at random.',
  }),
  pongTimeoutMs: duration('PONG_TIMEOUT', {
    default: '50s',
    minimum: '200ms',
    description: 'A client that sends nothing, no pong either, for this long is closed with 4408.',
  }),
  slowCloseGraceMs: duration('SLOW_CLOSE_GRACE', {
    default: '5s',
    description: 'How long a client that was too slow may keep reading what is buffered before its socket is cut.',
  }),
  shutdownGracePeriodMs: duration('SHUTDOWN_GRACE_PERIOD', {
    default: '30s',
    minimum: '100ms',
    description: 'Time from SIGTERM until the remaining sockets are cut.',
  }),
  drainWindowMs: duration('DRAIN_WINDOW', {
    default: '10s',
    description:
      'Period over which a drain spreads its closes. It is shorter when there are few sockets: 2 ms for each.',
  }),
  drainDelayMs: duration('DRAIN_DELAY', {
    default: '0',
    description: 'Pause between `/ready` answering 503 and the listener closing, for load balancers to notice.',
  }),
})
