import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { closes, upgradeResults } from '../../src/contract/codes.ts'
import {
  AUTH_RESULTS,
  ERROR_TYPES,
  GAP_REASONS,
  HOLE_RESULTS,
  LOGIN_RESULTS,
  LOSS_REASONS,
  RESUME_RESULTS,
  TICKET_RESULTS,
} from '../../src/contract/reasons.ts'
import { OUTBOX_RESULTS } from '../../src/telemetry/live.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { part, tableRows } from '../support/pages.ts'
import { parseQuery, type Query } from '../support/promql.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const FOLDER = 'k8s/monitoring/dashboards'

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
}
interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { x: number; y: number; w: number; h: number }
  readonly targets?: { expr: string; legendFormat: string }[]
}

/** The rows of the table of metrics. */
const METRICS = tableRows(part('docs/reference/metrics.md', 'metrics'))

const groups: { name: string; rules: Rule[] }[] = parse(text('k8s/monitoring/alerts.yaml')).groups
const rules = groups.flatMap((group) => group.rules)
const dashboards = readdirSync(join(ROOT, FOLDER)).map((file) => JSON.parse(text(`${FOLDER}/${file}`)))
const panels: Panel[] = dashboards.flatMap((dashboard) => dashboard.panels)

/** Grafana puts a time there. */
const interval = (expr: string): string => expr.replaceAll('$__rate_interval', '5m')
const expressions = [
  ...rules.map(({ expr, alert, record }) => ({ where: alert ?? record!, expr })),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr: interval(expr) }))),
]

/** What Prometheus adds to each series. */
const TARGET_LABELS = ['job', 'instance']
/** Labels whose values are a list in the code. */
const VALUES: Record<string, readonly string[]> = {
  result: upgradeResults,
  'wsproxy_resume_total result': RESUME_RESULTS,
  'wsproxy_holes_total result': HOLE_RESULTS,
  'wsproxy_tickets_judged_total result': TICKET_RESULTS,
  'wsproxy_auth_total result': AUTH_RESULTS,
  'wsproxy_jwks_fetches_total result': ['ok', 'failed'],
  'wsproxy_live_outbox_total result': OUTBOX_RESULTS,
  'wsproxy_login_total result': LOGIN_RESULTS,
  code: Object.values(closes).map(({ code }) => String(code)),
  door: ['session', 'run', 'live'],
  source: ['redis', 'client'],
  stage: ['warning', 'full'],
  what: ['connect', 'frame'],
  type: ERROR_TYPES,
  check: readdirSync(join(ROOT, 'src/preflight/checks')).map((file) => file.replace(/\.ts$/, '')),
}

describe('the metrics of a running gateway', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  /** By series name: its labels, each with the values that it has. */
  const series = new Map<string, Map<string, Set<string>>>()

  before(async () => {
    gateway = await gatewayFor(suite, {
      env: { SESSION_RATE: '1', SESSION_RATE_BURST: '1', REDIS_CANARY_INTERVAL: '100ms' },
    })
    const client = await gateway.join('s1')
    const run = await connect(`${gateway.url}/run-1`)
    const live = await connect(`${gateway.url}/live`)
    await live.take(1)
    await gateway.agent.publish('session:s1:down', '{"n":1}')
    await client.take(1)
    for (const frame of ['{"n":1}', '{"n":2}', 'nonsense']) client.send(frame)
    await refused(gateway.sessionUrl('s1'))
    await eventually(() => gateway.metric('wsproxy_redis_canary_seconds_count'), 'a canary to come back')
    const page = await (await fetch(`${gateway.http}/metrics`)).text()
    await Promise.all([client.close(), run.close(), live.close()])
    for (const [, name, labels = ''] of page.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? \S+$/gm)) {
      const known = series.get(name!) ?? new Map<string, Set<string>>()
      series.set(name!, known)
      for (const [, label, value] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        known.set(label!, (known.get(label!) ?? new Set()).add(value!))
      }
    }
    // Series that only a fault or a launch makes. The page of metrics has their labels.
    for (const [metric, kind, labels] of METRICS.filter(([, each]) => each !== 'gauge')) {
      for (const name of kind === 'counter' ? [metric!] : [`${metric}_bucket`, `${metric}_sum`, `${metric}_count`]) {
        const known = series.get(name) ?? new Map<string, Set<string>>()
        series.set(name, known)
        const all = [...labels!.split(',').map((each) => each.trim()), ...(name.endsWith('_bucket') ? ['le'] : [])]
        for (const label of all.filter(Boolean)) known.set(label, known.get(label) ?? new Set())
      }
    }
  })

  /** Says what in an expression does not exist. */
  function problems({ metrics, groupedBy }: Query): string[] {
    const recorded = new Set(rules.map(({ record }) => record))
    const found: string[] = []
    const labels = new Set(TARGET_LABELS)
    for (const { metric, matchers } of metrics) {
      if (recorded.has(metric) || metric === 'up') continue
      const known = series.get(metric)
      if (known === undefined) found.push(`no series ${metric}`)
      for (const label of known?.keys() ?? []) labels.add(label)
      for (const { label, operator, value } of matchers) {
        if (TARGET_LABELS.includes(label)) continue
        const values = known?.get(label)
        if (values === undefined) found.push(`${metric} has no label ${label}`)
        const possible =
          label === 'reason'
            ? metric.includes('gaps')
              ? GAP_REASONS
              : LOSS_REASONS
            : (VALUES[`${metric} ${label}`] ?? VALUES[label] ?? [...(values ?? [])])
        for (const each of operator.endsWith('~') ? value.split('|') : [value]) {
          if (!(possible as readonly string[]).includes(each)) found.push(`${metric}: ${label} is never ${each}`)
        }
      }
    }
    for (const label of groupedBy) if (!labels.has(label)) found.push(`nothing has the label ${label}`)
    return found
  }

  it('have every metric, label and value that panels and rules name', () => {
    assert.ok(expressions.length > 60, `${expressions.length}`)
    const wrong = expressions.flatMap(({ where, expr }) =>
      problems(parseQuery(expr)).map((problem) => `${where}: ${problem}`),
    )
    assert.deepEqual(wrong, [])
  })

  it('are compared strictly: each kind of mistake in an expression is found', () => {
    for (const [expr, problem] of [
      ['sum(rate(wsproxy_no_such_total[5m]))', /no series/],
      ['wsproxy_message_latency_seconds{le="0.05"}', /no series/],
      ['wsproxy_connections_total{dore="run"}', /no label dore/],
      ['wsproxy_connections_total{result="accept"}', /never accept/],
      ['wsproxy_message_latency_seconds_bucket{le="0.06"}', /never 0.06/],
      ['sum by (session) (wsproxy_redis_up)', /label session/],
      ['wsproxy_gaps_total{reason=~"redis_down|nothing"}', /never nothing/],
    ] as const) {
      assert.match(problems(parseQuery(expr)).join(), problem, expr)
    }
    assert.throws(() => parseQuery('sum(rate(x[5m])'), /brackets/)
    assert.throws(() => parseQuery('a ? b'), /not PromQL/)
  })

  it('are each read by a panel or a rule', () => {
    const asked = new Set(expressions.flatMap(({ expr }) => parseQuery(expr).metrics.map(({ metric }) => metric)))
    const unseen = METRICS.map(([name]) => name!).filter(
      (name) => !['', '_bucket', '_count', '_sum'].some((end) => asked.has(name + end)),
    )
    assert.deepEqual(unseen, [])
  })

  it('are listed on their page with every alert that reads them', () => {
    const records = new Map(rules.flatMap(({ record, expr }) => (record ? [[record, expr] as const] : [])))
    const readBy = (expr: string): string[] =>
      parseQuery(expr).metrics.flatMap(({ metric }) => (records.has(metric) ? readBy(records.get(metric)!) : metric))
    const alerts = rules.flatMap(({ alert, expr }) => (alert ? [{ alert, metrics: readBy(expr) }] : []))
    for (const [name, , , , , last] of METRICS) {
      const named = [...last!.matchAll(/\bWsproxy\w+/g)].map(([alert]) => alert)
      for (const alert of named)
        assert.ok(
          alerts.some((each) => each.alert === alert),
          `${name}: ${alert}`,
        )
      for (const { alert, metrics } of alerts) {
        const isRead = ['', '_bucket', '_count', '_sum'].some((end) => metrics.includes(name + end))
        if (isRead) assert.ok(named.includes(alert), `${name} is read by ${alert}`)
      }
    }
  })

  it('have every metric that the k6 scripts read', () => {
    const names = readdirSync(join(ROOT, 'bench/k6')).filter((file) => file.endsWith('.js'))
    assert.deepEqual(names.sort(), ['burst.js', 'gateway.js', 'smoke.js', 'soak.js'])
    for (const file of names) {
      for (const [name] of text(`bench/k6/${file}`).matchAll(/\bwsproxy_\w+/g))
        assert.ok(series.has(name), `${file}: ${name}`)
    }
  })
})

describe('the dashboards and rules', () => {
  it('are up to date with their definitions', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'tools/monitoring/main.mjs'), '--check'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
  })

  it('are the same for Prometheus and for its operator', () => {
    const resource = parse(text('k8s/monitoring/prometheusrule.yaml'))
    assert.equal(resource.kind, 'PrometheusRule')
    assert.deepEqual(resource.spec.groups, groups)
  })

  it('have panels that do not overlap, each with a question and legends', () => {
    for (const { title, panels: own } of dashboards as { title: string; panels: Panel[] }[]) {
      assert.equal(new Set(own.map(({ id }) => id)).size, own.length)
      const cells = new Set<string>()
      for (const {
        gridPos: { x, y, w, h },
        type,
        targets = [],
        ...panel
      } of own) {
        assert.ok(x + w <= 24)
        for (let i = x; i < x + w; i++) {
          for (let j = y; j < y + h; j++) {
            assert.ok(!cells.has(`${i},${j}`), `${title}: ${panel.title}`)
            cells.add(`${i},${j}`)
          }
        }
        if (type === 'row') continue
        assert.ok(targets.length > 0, panel.title)
        assert.match(panel.description!, /^[A-Z].*\?/, panel.title)
        for (const { legendFormat } of targets) assert.notEqual(legendFormat, '')
      }
    }
  })

  it('show in a legend only labels that the query keeps', () => {
    for (const { title, targets = [] } of panels) {
      for (const { expr, legendFormat } of targets) {
        const { groupedBy } = parseQuery(interval(expr))
        if (!/\b(sum|max)\b/.test(expr)) continue
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          assert.ok(groupedBy.includes(label!), `${title}: ${label}`)
      }
    }
  })

  it('have alerts with a severity, a summary and a link into the runbook', () => {
    const alerts = rules.filter(({ alert }) => alert)
    assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
    for (const { alert, labels, annotations } of alerts) {
      assert.match(labels!.severity!, /^(page|ticket)$/, alert)
      assert.ok(annotations!.summary)
      assert.equal(annotations!.runbook_url, `RUNBOOK.md#${alert!.toLowerCase()}`)
    }
  })

  it('have burn-rate alerts at three rates of their objective, over two windows each', () => {
    const burn = (name: string) => rules.find(({ alert }) => alert === name)!.expr
    assert.match(burn('WsproxyHandshakesBurnFast'), /rate1h > 0.0144 and .*rate5m > 0.0144$/)
    assert.match(burn('WsproxyHandshakesBurnSteady'), /rate6h > 0.006 and .*rate30m > 0.006$/)
    assert.match(burn('WsproxyDeliveryBurnFast'), /rate1h > 0.144 and .*rate5m > 0.144$/)
    assert.match(burn('WsproxyDeliveryBurnSlow'), /rate3d > 0.01 and .*rate6h > 0.01$/)
  })
})
