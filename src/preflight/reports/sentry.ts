import { VERSION } from '../../platform/version.ts'
import type { Logger } from '../../telemetry/log.ts'
import { loadPeers } from '../../telemetry/peers.ts'
import type { Report, Status } from '../check.ts'
import type { ReportSink } from './recorder.ts'

const LEVELS = { pass: 'info', skipped: 'info', warn: 'warning', fail: 'error' } as const satisfies Record<
  Status,
  string
>
/** Sentry cuts deeper levels. A report needs report, checks, check, details and what those nest. */
const DEPTH = 8
/** Sentry drops a tag with a longer value. */
const MAX_TAG = 200
const IDS = ['campaignId', 'agentId', 'sessionId', 'runId', 'userId'] as const

/**
 * Opens a Sentry client that sends unhealthy runs only: no process errors, requests or traces.
 * Returns undefined (and logs a warning) when the DSN is invalid.
 * @throws ConfigError when `@sentry/node` is not installed.
 */
export async function openSentry(dsn: string, log: Logger): Promise<ReportSink | undefined> {
  const sentry = await loadPeers('SENTRY_DSN', '@sentry/node', () => import('@sentry/node'))
  const client = sentry.initWithoutDefaultIntegrations({
    dsn,
    release: `wsproxy@${VERSION}`,
    normalizeDepth: DEPTH,
    normalizeMaxBreadth: 1000,
    sendDefaultPii: false,
    skipOpenTelemetrySetup: true,
    registerEsmLoaderHooks: false,
    sendClientReports: false,
  })
  if (client?.getDsn() === undefined) {
    log.warn({ event: 'sentry' }, 'SENTRY_DSN is not a valid Sentry DSN')
    return undefined
  }
  let onLost = () => {}
  let isAway = false
  // Sentry drops an event that it cannot send; without a status no answer came at all.
  client.on('afterSendEvent', (_event, response) => {
    const { statusCode } = response ?? {}
    const isTaken = statusCode !== undefined && statusCode < 300
    if (!isTaken) onLost()
    if (isTaken && isAway) log.info({ event: 'sentry' }, 'Sentry takes reports again')
    if (!isTaken && !isAway) log.warn({ event: 'sentry', statusCode }, 'Sentry does not take reports; they are lost')
    isAway = !isTaken
  })
  const send = (report: Report) => {
    if (report.healthy) return
    const scope = new sentry.Scope()
    scope.setClient(client)
    for (const { name, priority, status, message, durationMs } of report.checks) {
      const breadcrumb = {
        category: 'preflight',
        message: `${name}: ${message}`,
        level: LEVELS[status],
        data: { priority, status, durationMs },
      }
      scope.addBreadcrumb(breadcrumb)
    }
    scope.setTags({ mode: report.mode, event_type: report.eventType, report: report.id })
    for (const id of IDS) if (report[id] !== undefined) scope.setTag(id, report[id])
    if (report.streamerIds !== undefined) scope.setTag('streamerIds', report.streamerIds.join(',').slice(0, MAX_TAG))
    scope.setContext('preflight report', { ...report })
    const failed = report.checks.filter(({ status }) => status === 'fail').map(({ name }) => name)
    // Group by the failed checks: messages contain numbers, and each would open an issue of its
    // own.
    scope.setFingerprint(['preflight', ...failed])
    scope.captureMessage(`preflight failed: ${failed.join(', ')}`, 'error')
  }
  return {
    send,
    onLost: (listener) => {
      onLost = listener
    },
    flush: async (timeoutMs) => void (await client.close(timeoutMs)),
  }
}
