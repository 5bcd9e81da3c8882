import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { checkFolderFor, resultOf } from '../support/preflight.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const TOKEN = 'a-token-of-24-characters'
const ADMIN = { Authorization: `Bearer ${TOKEN}`, Accept: 'application/json' }

/** Written as the older system documents a check: one argument, `success`, no `appliesTo`. */
const DATABASE = `export class DatabaseCheck {
  name = 'game_database'
  priority = 0
  async execute(context) {
    const { mode, eventType, campaignId, streamerIds } = context
    if (campaignId === 'lost') return { success: false, message: 'Database connection failed', error: 'no route' }
    return { success: true, message: [mode, eventType, campaignId, ...streamerIds].join(' ') }
  }
}`

interface Monitoring {
  readonly stats: Record<string, number>
  readonly topFailures: Record<string, unknown>[]
  readonly recentReports: { readonly success: boolean; readonly healthy: boolean }[]
}

describe('checks and clients of an older preflight system', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    const folder = checkFolderFor(suite).add('database_check.js', DATABASE)
    const env = { ADMIN_TOKEN: TOKEN, PREFLIGHT_CHECKS_FOLDER: folder.path, MAX_CONNECTIONS: '100' }
    gateway = await gatewayFor(suite, { env })
  })

  const run = async (body: object) => {
    const init = { method: 'POST', headers: ADMIN, body: JSON.stringify(body) }
    const response = await fetch(`${gateway.http}/api/preflight/run`, init)
    return { status: response.status, report: JSON.parse(await response.text()) }
  }

  it('a check as its document writes it runs, with streamerIds in its context', async () => {
    const launch = { eventType: 'poll_launch', campaignId: 'c1', streamerIds: ['s1', 's 2'] }
    const { status, report } = await run(launch)
    assert.equal(status, 200, JSON.stringify(report))
    assert.equal(resultOf(report, 'game_database').message, 'full poll_launch c1 s1 s 2')
    assert.deepEqual([report.success, report.healthy, report.streamerIds], [true, true, ['s1', 's 2']])
  })

  it('a check that returns success false fails the run, with message and error', async () => {
    const { status, report } = await run({ campaignId: 'lost', streamerIds: [] })
    assert.deepEqual([status, report.success], [412, false])
    assert.equal(resultOf(report, 'game_database').message, 'Database connection failed: no route')
  })

  it('streamerIds must be a list of at most 100 strings', async () => {
    for (const streamerIds of ['s1', [1], [''], Array(101).fill('s')]) {
      const { status, report } = await run({ streamerIds })
      assert.deepEqual([status, report.error.field], [400, 'streamerIds'])
    }
  })

  it('/admin/monitoring has the words of the older system beside ours', async () => {
    await run({ campaignId: 'lost', streamerIds: [] })
    const page = async () => (await fetch(`${gateway.http}/admin/monitoring`, { headers: ADMIN })).json()
    const { stats, topFailures, recentReports } = await eventually(async () => {
      const answer = (await page()) as Monitoring
      return answer.topFailures.length > 0 ? answer : undefined
    }, 'the failure')
    const { totalRuns, successRate, averageDurationMs, meanDurationMs } = stats
    assert.ok(totalRuns! > 0 && successRate! < 1 && averageDurationMs! > 0)
    assert.equal(averageDurationMs, meanDurationMs)
    const { checkName, failureCount, failureRate, count, rate } = topFailures[0]!
    assert.deepEqual([checkName, failureCount, failureRate], ['game_database', count, rate])
    for (const { success, healthy } of recentReports) assert.equal(success, healthy)
  })
})
