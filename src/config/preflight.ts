import { duration, list, size, string } from './kinds.ts'

/** The rows of the table of settings that are about preflight checks. */
export const preflightSettings = {
  preflightTimeoutMs: duration('PREFLIGHT_CHECK_TIMEOUT', {
    default: '500ms',
    minimum: 10,
    maximum: 2000,
    description: 'How long a preflight check may take; past it, it has failed.',
  }),
  preflightHttpDependencies: list('PREFLIGHT_HTTP_DEPENDENCIES', {
    default: '',
    description: 'Addresses (`http://`, `https://`) that must answer below 400 for a preflight run to pass.',
  }),
  preflightEventTypes: list('PREFLIGHT_EVENT_TYPES', {
    default: '',
    description: 'Event types that metrics show by name; all others count as `other`.',
  }),
  preflightRetentionMs: duration('PREFLIGHT_RETENTION', {
    default: '30d',
    minimum: 3600e3,
    maximum: 366 * 24 * 3600e3,
    description: 'How long preflight reports are kept in Redis.',
  }),
  preflightExpectedRate: size('PREFLIGHT_EXPECTED_RATE', {
    default: '16MiB',
    description: 'Bytes a second that this instance expects from Redis; its output buffer must hold a second of them.',
  }),
  preflightChecksFolder: string('PREFLIGHT_CHECKS_FOLDER', {
    default: undefined,
    description: 'Folder of further preflight checks: JavaScript modules whose default export is a check.',
  }),
  sentryDsn: string('SENTRY_DSN', {
    default: undefined,
    secret: true,
    description: 'Where unhealthy preflight runs are reported (needs the optional package `@sentry/node`).',
  }),
} as const
