import { duration, group, list, size, string } from './kinds.ts'

/** The settings of the preflight checks. */
export const preflightSettings = group('Preflight checks', {
  preflightCheckTimeoutMs: duration('PREFLIGHT_CHECK_TIMEOUT', {
    default: '500ms',
    minimum: '10ms',
    maximum: '2s',
    description: 'How long one preflight check may take before it counts as failed.',
  }),
  preflightHttpDependencies: list('PREFLIGHT_HTTP_DEPENDENCIES', {
    default: '',
    description: '`http://` and `https://` addresses that must answer with a status below 400 for a run to pass.',
  }),
  preflightEventTypes: list('PREFLIGHT_EVENT_TYPES', {
    default: '',
    description:
      'Event types that appear by name in metric labels. All others count as `other`. Empty: the first 50 that occur.',
  }),
  preflightRetentionMs: duration('PREFLIGHT_RETENTION', {
    default: '30d',
    minimum: '1h',
    maximum: '366d',
    description: 'How long Redis keeps preflight reports.',
  }),
  preflightExpectedRateBytes: size('PREFLIGHT_EXPECTED_RATE', {
    default: '16MiB',
    description:
      'Expected traffic from Redis to this instance, per second. A check fails when the output buffer that Redis ' +
      'keeps for a subscriber is smaller than one second of it.',
  }),
  preflightChecksFolder: string('PREFLIGHT_CHECKS_FOLDER', {
    default: undefined,
    description:
      'Folder with additional checks: JavaScript modules that export checks, or objects with `preFlightCheck()`.',
  }),
  sentryDsn: string('SENTRY_DSN', {
    default: undefined,
    secret: true,
    description:
      'Sentry project that receives unhealthy preflight reports. Needs the package `@sentry/node`, which is not installed with wsproxy.',
  }),
})
