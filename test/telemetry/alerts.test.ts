import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { ERROR_TYPES } from '../../src/contract/reasons.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { parseQuery, type Selector } from '../support/promql.ts'
import { scopeOf } from '../support/scope.ts'

const text = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const { groups } = parse(text('k8s/monitoring/alerts.yaml')) as { groups: { rules: { expr: string }[] }[] }

/** The counters that some alert or recording rule rates, each with its matchers. */
const rated: Selector[] = groups
  .flatMap(({ rules }) => rules)
  .flatMap(({ expr }) => (/\b(rate|increase)\(/.test(expr) ? parseQuery(expr).metrics : []))
  .filter(({ metric }) => /^wsproxy_\w+_(total|bucket|count)$/.test(metric))

describe('the counters that alerts rate', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  /** Every series of a gateway that has just started: its name and its labels. */
  const series: { name: string; labels: Record<string, string>; value: number }[] = []
  before(async () => {
    gateway = await gatewayFor(suite)
    const page = await (await fetch(`${gateway.http}/metrics`)).text()
    for (const [, name, labels = '', value] of page.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, of]) => [label!, of!] as const)
      series.push({ name: name!, labels: Object.fromEntries(pairs), value: Number(value) })
    }
  })

  const matching = (metric: string, label: string, value: string) =>
    series.filter(({ name, labels }) => name === metric && labels[label] === value)

  it('are all read from the alert rules', () => {
    const names = new Set(rated.map(({ metric }) => metric))
    for (const name of ['connections', 'gaps', 'lost_messages', 'errors', 'redis_reconnects', 'preflight_failures'])
      assert.ok(names.has(`wsproxy_${name}_total`), name)
  })

  it('exist on a gateway that has just started, with every label value that a rule names', () => {
    const missing = rated.flatMap(({ metric, matchers }) => {
      if (!series.some(({ name }) => name === metric)) return [metric]
      const named = matchers.filter(({ operator }) => operator === '=' || operator === '=~')
      return named.flatMap(({ label, value }) =>
        value
          .split('|')
          .filter((each) => matching(metric, label, each).length === 0)
          .map((each) => `${metric}{${label}="${each}"}`),
      )
    })
    assert.deepEqual(missing, [])
  })

  it('start at 0, so that the first error raises the rate', () => {
    const names = new Set(rated.map(({ metric }) => metric).filter((metric) => metric.endsWith('_total')))
    const raised = series.filter(({ name, value }) => names.has(name) && value !== 0)
    assert.deepEqual(raised, [])
  })

  it('exist for each door with each result of an upgrade that a rule names', () => {
    const doors = new Set(
      series.flatMap(({ name, labels }) => (name === 'wsproxy_active_connections' ? labels.door! : [])),
    )
    assert.deepEqual([...doors].sort(), ['live', 'live-sse', 'run', 'session', 'sse', 'stream'])
    const results = rated
      .filter(({ metric }) => metric === 'wsproxy_connections_total')
      .flatMap(({ matchers }) => matchers.flatMap(({ label, value }) => (label === 'result' ? value.split('|') : [])))
    assert.ok(results.includes('redis-unavailable'))
    for (const result of results)
      assert.equal(matching('wsproxy_connections_total', 'result', result).length, doors.size, result)
  })
})

describe('the types of errors_total', () => {
  it('are each explained in the row of the metric', () => {
    const [row = ''] = /^\| `wsproxy_errors_total` .*$/m.exec(text('docs/reference/metrics.md')) ?? []
    for (const type of ERROR_TYPES) assert.ok(row.includes(`\`${type}\``), type)
  })
})
