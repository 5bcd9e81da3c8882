#!/usr/bin/env node
/**
 * Writes the dashboards and the alert rules (for Prometheus, and as a PrometheusRule) from their
 * definitions beside this file. With --check it writes nothing and fails when a file differs from
 * what it would write. Plain Node, no packages.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { groups } from './alerts.mjs'
import { dashboards } from './dashboards.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const METRICS = readFileSync(join(root, 'docs/reference/metrics.md'), 'utf8')
const has = (metric) => METRICS.includes(`\`${metric}\``)

const WIDTH = 24
const HEIGHT = 8
// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }
const LETTERS = 'ABCDEFGH'

function panel({ title, asks, unit, queries }, id, gridPos) {
  return {
    id,
    type: 'timeseries',
    title,
    description: asks,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(([expr, legendFormat], i) => ({
      refId: LETTERS[i],
      expr,
      legendFormat,
      datasource: DATASOURCE,
    })),
  }
}

function dashboard(name, { title, rows }) {
  const panels = []
  let y = 0
  let id = 1
  for (const [row, shown] of Object.entries(rows)) {
    panels.push({
      id: id++,
      type: 'row',
      title: row,
      collapsed: false,
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
      panels: [],
    })
    const w = WIDTH / shown.length
    for (const [i, each] of shown.entries()) panels.push(panel(each, id++, { x: i * w, y: y + 1, w, h: HEIGHT }))
    y += HEIGHT + 1
  }
  const query = (of) => ({ query: `label_values(${of})`, refId: 'A' })
  const variable = (variableName, of) => ({
    name: variableName,
    type: 'query',
    datasource: DATASOURCE,
    query: query(of),
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  })
  return {
    uid: `wsproxy-${name}`,
    title,
    tags: ['wsproxy'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        variable('job', 'wsproxy_redis_up, job'),
        variable('instance', 'wsproxy_redis_up{job=~"$job"}, instance'),
      ],
    },
    links: [
      { type: 'dashboards', tags: ['wsproxy'], title: 'wsproxy', asDropdown: false, includeVars: true, keepTime: true },
    ],
    panels,
  }
}

/** Objects, lists and strings as YAML; these files need no more. */
function yaml(value, indent = '') {
  if (Array.isArray(value)) {
    return value.map((each) => `${indent}- ${yaml(each, `${indent}  `).slice(indent.length + 2)}`).join('\n')
  }
  return Object.entries(value)
    .map(([key, each]) =>
      typeof each === 'object' ? `${indent}${key}:\n${yaml(each, `${indent}  `)}` : `${indent}${key}: ${scalar(each)}`,
    )
    .join('\n')
}
/** Quoted as the formatter would quote it. */
const scalar = (text) => {
  if (/^[\w.-]+( [\w.-]+)*$/.test(text) && !/^[\d.]+$/.test(text)) return text
  return text.includes('"') && !text.includes("'") ? `'${text}'` : JSON.stringify(text)
}

const NOTE = '# Written by tools/monitoring/main.mjs from alerts.mjs beside it. RUNBOOK.md explains each alert.\n'
const rules = groups(has)
const resource = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name: 'wsproxy' },
  spec: { groups: rules },
}
const files = {
  'k8s/monitoring/alerts.yaml': `${NOTE}${yaml({ groups: rules })}\n`,
  'k8s/monitoring/prometheusrule.yaml': `${NOTE}${yaml(resource)}\n`,
  ...Object.fromEntries(
    Object.entries(dashboards(has)).map(([name, each]) => [
      `k8s/monitoring/dashboards/${name}.json`,
      `${JSON.stringify(dashboard(name, each), null, 2)}\n`,
    ]),
  ),
}

const check = process.argv.includes('--check')
for (const [path, text] of Object.entries(files)) {
  const at = join(root, path)
  if (existsSync(at) && readFileSync(at, 'utf8') === text) continue
  if (check) {
    console.error(`${path} is out of date: run "node tools/monitoring/main.mjs"`)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(at), { recursive: true })
    writeFileSync(at, text)
    console.log(path)
  }
}
