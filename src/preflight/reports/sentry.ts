import { VERSION } from '../../platform/version.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Report, Status } from '../check.ts'
import type { ReportSink } from './recorder.ts'

const LEVELS = { pass: 'info', skipped: 'info', warn: 'warning', fail: 'error' } as const satisfies Record<
  Status,
  string
>
/** Sentry cuts what lies deeper: report, checks, check, details, and what is in those. */
const DEPTH = 8
const IDS = ['campaignId', 'agentId', 'sessionId', 'runId', 'userId'] as const

/**
 * Opens the way to Sentry; undefined when its package is not installed, which is logged and no reason not to start.
 * Only runs are told: no errors of the process, no requests, no traces.
 */
export async function openSentry(dsn: string, log: Logger): Promise<ReportSink | undefined> {
  const sentry = await import('@sentry/node').catch((error: NodeJS.ErrnoException) => {
    log.warn({ event: 'sentry', reason: error.code }, 'SENTRY_DSN is set, but the package @sentry/node is not there')
  })
  if (sentry === undefined) return undefined
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
    log.warn({ event: 'sentry' }, 'SENTRY_DSN is not an address that Sentry takes')
    return undefined
  }
  client.on('afterSendEvent', (_event, response) => {
    const { statusCode } = response ?? {}
    if (statusCode !== undefined && statusCode < 300) return
    log.warn({ event: 'sentry', statusCode }, 'Sentry did not take an unhealthy run')
  })
  const send = (report: Report) => {
    if (report.healthy) return
    const scope = new sentry.Scope()
    scope.setClient(client)
    for (const { name, status, message, durationMs } of report.checks) {
      const said = {
        category: 'preflight',
        message: `${name}: ${message}`,
        level: LEVELS[status],
        data: { status, durationMs },
      }
      scope.addBreadcrumb(said)
    }
    scope.setTags({ mode: report.mode, event_type: report.eventType, report: report.id })
    for (const id of IDS) if (report[id] !== undefined) scope.setTag(id, report[id])
    scope.setContext('preflight report', { ...report })
    const failed = report.checks.filter(({ status }) => status === 'fail').map(({ name }) => name)
    // One issue for what fails together, and not one for each text with a number in it.
    scope.setFingerprint(['preflight', ...failed])
    scope.captureMessage(`preflight failed: ${failed.join(', ')}`, 'error')
  }
  return { send, flush: async (timeoutMs) => void (await client.close(timeoutMs)) }
}
