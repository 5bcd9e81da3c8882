import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { openSentry } from '../../../src/preflight/reports/sentry.ts'
import { run } from '../../support/cli.ts'
import { keptLog } from '../../support/link.ts'
import { freePort } from '../../support/ports.ts'
import { newReport } from '../../support/preflight.ts'
import { eventually } from '../../support/wait.ts'

interface SentryEvent {
  readonly message: string
  readonly level: string
  readonly release: string
  readonly fingerprint: string[]
  readonly tags: Record<string, string>
  readonly breadcrumbs: { category: string; message: string; level: string; data: { priority?: number } }[]
  readonly contexts: Record<string, { checks?: { details?: unknown }[] }>
  readonly request?: unknown
  readonly user?: unknown
}

describe('Sentry', () => {
  const events: SentryEvent[] = []
  let server: Server
  let dsn: string
  before(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', () => {
        const raw = Buffer.concat(chunks)
        const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString()
        // An envelope: a line of headers, then two lines an item.
        const [, ...items] = text.trimEnd().split('\n')
        for (let i = 0; i < items.length; i += 2)
          if (JSON.parse(items[i]!).type === 'event') events.push(JSON.parse(items[i + 1]!))
        response.end('{}')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    dsn = `http://public@127.0.0.1:${(server.address() as AddressInfo).port}/1`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('Sentry that is away is one warning, and each report that it does not take is counted', async () => {
    const { lines, log } = keptLog()
    const sink = (await openSentry(`http://public@127.0.0.1:${await freePort()}/1`, log))!
    let lost = 0
    sink.onLost!(() => lost++)
    for (let i = 0; i < 3; i++) sink.send(newReport({ healthy: false, id: `r${i}`, checks: [] }))
    await eventually(() => lost === 3, 'the lost reports')
    const said = (lines as { event?: string }[]).filter(({ event }) => event === 'sentry')
    assert.equal(said.length, 1)
    await sink.flush(1)
  })

  it('Sentry gets an event for an unhealthy run only, with the report, a breadcrumb a check, and ids as tags', async () => {
    const sink = (await openSentry(dsn, keptLog().log))!
    sink.send(newReport({ userId: 'healthy' }))
    const report = newReport({
      eventType: 'launch.mail',
      sessionId: 's1',
      campaignId: 'c1',
      streamerIds: ['st1', 'st2'],
      healthy: false,
      checks: [
        { name: 'redis', priority: 0, status: 'pass', message: 'Redis answers', durationMs: 1 },
        {
          name: 'token-store',
          priority: 10,
          status: 'fail',
          message: 'no token',
          details: { deep: { deeper: { deepest: 'x' } } },
          durationMs: 2,
        },
        { name: 'capacity', priority: 20, status: 'skipped', message: 'not run', durationMs: 0 },
      ],
    })
    sink.send(report)
    sink.send({ ...report, id: 'second', sessionId: 's2' })
    await sink.flush(5000)
    await eventually(() => events.length >= 2, 'the events')
    assert.equal(events.length, 2)
    const [event, second] = events as [SentryEvent, SentryEvent]
    assert.equal(event.message, 'preflight failed: token-store')
    assert.equal(event.level, 'error')
    assert.match(event.release, /^wsproxy@\d/)
    assert.deepEqual(event.fingerprint, ['preflight', 'token-store'])
    const { mode, event_type, sessionId, campaignId, report: id } = event.tags
    assert.deepEqual([mode, event_type, sessionId, campaignId, id], ['full', 'launch.mail', 's1', 'c1', report.id])
    assert.deepEqual(
      event.breadcrumbs.map(({ message, level, data }) => [message, level, data.priority]),
      [
        ['redis: Redis answers', 'info', 0],
        ['token-store: no token', 'error', 10],
        ['capacity: not run', 'info', 20],
      ],
    )
    assert.deepEqual(event.contexts['preflight report']!.checks![1]!.details, { deep: { deeper: { deepest: 'x' } } })
    assert.equal(event.tags.streamerIds, 'st1,st2')
    assert.equal(second.breadcrumbs.length, 3, 'nothing is left over from the run before')
    assert.equal(second.tags.sessionId, 's2')
    assert.deepEqual([event.request, event.user], [undefined, undefined])
  })

  it('Sentry gets an event from wsproxy doctor when a check fails', async () => {
    const before = events.length
    const env = { REDIS_URL: 'redis://127.0.0.1:1', SENTRY_DSN: dsn, LISTEN_ADDR: '127.0.0.1:0' }
    assert.equal((await run(['doctor'], { env })).status, 1)
    await eventually(() => events.length === before + 1, 'the event')
    assert.match(events.at(-1)!.message, /^preflight failed: redis, redis-pubsub/)
  })

  it('an invalid SENTRY_DSN disables Sentry with a warning in the log', async (t) => {
    // Sentry writes a line of its own to the console.
    const written = t.mock.method(console, 'error', () => {})
    const { log, lines } = keptLog()
    assert.equal(await openSentry('nonsense', log), undefined)
    assert.match(String(lines[0]?.msg), /SENTRY_DSN/)
    assert.deepEqual(
      written.mock.calls.map(({ arguments: [line] }) => line),
      ['Invalid Sentry Dsn: nonsense'],
    )
  })
})
