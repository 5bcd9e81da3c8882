import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { parseDuration, parseSize } from '../src/config/kinds.ts'
import { loadConfig } from '../src/config/load.ts'
import { settings } from '../src/config/table.ts'
import { closes } from '../src/contract/codes.ts'
import { mostSockets } from '../src/platform/open-files.ts'
import { build } from './support/kustomize.ts'
import { blocks, linesOf, OPERATIONS } from './support/operations.ts'
import { page, part, tableRows } from './support/pages.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGE = page('RUNBOOK.md')
const SETTINGS = Object.values(settings)
/** A program of systemd; knip takes its name for that of a package. */
const VERIFIER = 'systemd-analyze'

/** The text under a heading of the second level. */
function section(heading: string): string {
  const [, text] = PAGE.split(`\n## ${heading}\n`)
  assert.ok(text, `RUNBOOK.md has a section ${heading}`)
  return text.split('\n## ')[0]!
}

/** As GitHub makes it from a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')

const ANCHORS = new Set([
  ...[...PAGE.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!)),
  ...[...PAGE.matchAll(/<a id="([\w-]+)"><\/a>/g)].map(([, id]) => id!),
])

describe('the runbook', () => {
  const groups: { rules: { alert?: string; expr: string; labels?: { severity: string } }[] }[] = parse(
    page('k8s/monitoring/alerts.yaml'),
  ).groups
  const alerts = groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert))
  const tabled = [...section('Alerts').matchAll(/^\| <a id="(\w+)"><\/a>`(\w+)` \| (\w+) \| (.*?) \|/gm)]

  it('has an entry for every alert, and for none that does not exist', () => {
    const entries = [...section('Alerts').matchAll(/^### (Wsproxy\w+)$/gm)].map(([, name]) => name!)
    assert.deepEqual([...entries, ...tabled.map(([, , name]) => name!)].sort(), alerts.map(({ alert }) => alert).sort())
    for (const { alert } of alerts) assert.ok(ANCHORS.has(alert!.toLowerCase()), `an anchor for ${alert}`)
  })

  it('says of each alert what it means, its causes, what to do and what to tell users', () => {
    for (const entry of section('Alerts').split('\n### ').slice(1)) {
      for (const part of ['**Means:**', '**Causes, likeliest first:**\n\n1. ', '**Do:**', '**Tell users:**']) {
        assert.ok(entry.includes(part), `${entry.split('\n')[0]}: ${part}`)
      }
    }
  })

  it('gives each burn-rate alert its severity and its limit', () => {
    assert.equal(tabled.length, 6)
    for (const [, id, name, severity, when] of tabled) {
      const { expr, labels } = alerts.find(({ alert }) => alert === name)!
      assert.equal(id, name!.toLowerCase())
      assert.equal(severity, labels!.severity, name)
      const [, percent] = /more than ([\d.]+) %/.exec(when!) ?? []
      assert.ok(expr.includes(`> ${Number((Number(percent) / 100).toPrecision(6))} and `), `${name}: ${percent} %`)
    }
  })

  it('links only to headings that it has', () => {
    for (const [, anchor] of PAGE.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(ANCHORS.has(anchor!), anchor)
  })

  it('leads each symptom that users report to a command and to what to do', () => {
    const symptoms = section('Symptoms').split('\n### ').slice(1)
    assert.ok(symptoms.length >= 8, `${symptoms.length}`)
    for (const symptom of symptoms) {
      assert.equal(symptom.match(/^```sh runnable$/gm)?.length, 1, symptom.split('\n')[0])
      assert.match(symptom, /\| you see \| cause \| do \|/, symptom.split('\n')[0])
    }
  })
})

describe('the table of timers that close a socket', () => {
  const rows = tableRows(part('RUNBOOK.md', 'timers'))
  /** Durations that close no socket: intervals, deadlines of a request, lives of stored data. */
  const CLOSE_NOTHING = [
    'AUTH_EXPIRY_NOTICE',
    'AUTH_RECONNECT_GRACE',
    'AUTH_REFRESH_TTL',
    'AUTH_JWKS_COOLDOWN',
    'AUTH_JWKS_MAX_AGE',
    'AUTH_JWKS_STALE',
    'DRAIN_DELAY',
    'HANDSHAKE_TIMEOUT',
    'LIVE_LAST_TTL',
    'METRICS_MAX_AGE',
    'PING_INTERVAL',
    'PREFLIGHT_CHECK_TIMEOUT',
    'PREFLIGHT_RETENTION',
    'REDIS_CANARY_INTERVAL',
    'REDIS_CANARY_TIMEOUT',
    'RESUME_MAX_LIFETIME',
    'RESUME_TICKET_TTL',
    'RUN_PING_INTERVAL',
    'RUN_REDIS_RETRY_BASE',
    'RUN_REDIS_RETRY_MAX',
    'RUN_REDIS_TIMEOUT',
    'RUN_RESYNC_INTERVAL',
    'SSE_PING_INTERVAL',
    'SSE_TICKET_TTL',
    'STREAM_POLL_TIMEOUT',
  ]

  it('has every duration of the settings that closes one, with its default', () => {
    const durations = SETTINGS.filter(({ kind }) => kind === 'duration').map(({ env }) => env as string)
    const listed = rows.map(([env]) => env!).filter((env) => env !== 'RUN_REDIS_MAX_RETRIES')
    assert.deepEqual([...listed, ...CLOSE_NOTHING].sort(), durations.sort())
    for (const [env, value] of rows) assert.equal(value, SETTINGS.find((each) => each.env === env)!.default, env)
  })

  it('has close codes that the gateway sends', () => {
    const codes = new Set(Object.values(closes).map(({ code }) => String(code)))
    for (const [env, , code] of rows) assert.ok(codes.has(code!), `${env}: ${code}`)
    const { notHeard, streamEnd, tooSlow, redisGone, draining, expired } = closes
    const timed = [notHeard, streamEnd, tooSlow, redisGone, draining, expired].map(({ code }) => String(code))
    assert.deepEqual([...new Set(rows.map(([, , code]) => code))].sort(), timed.sort())
  })
})

describe('the pages of operations', () => {
  it('give with a setting the default that it has', () => {
    let compared = 0
    for (const path of OPERATIONS) {
      for (const [, name, value] of page(path).matchAll(
        /`([A-Z][A-Z_]+)`\s\((\d[\d,.]*(?:\s?(?:ms|s|min|MiB|KiB))?)\)/g,
      )) {
        const setting = SETTINGS.find(({ env }) => env === name)
        assert.ok(setting, `${path}: ${name}`)
        const read = setting.kind === 'duration' ? parseDuration : setting.kind === 'size' ? parseSize : Number
        assert.equal(read(value!.replace(/\s/, '')), read(setting.default!), `${path}: ${name} (${value})`)
        compared++
      }
    }
    assert.ok(compared > 10, `${compared}`)
    const [, name, value] = /k8s\/base\s+sets `(\w+)` to (\w+)\./.exec(PAGE)!
    assert.equal(parse(page('k8s/base/configmap.yaml')).data[name!], value)
  })

  it('explain every event of the log with its level, and quote none that does not exist', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'))
    const logged = sources.flatMap((text) =>
      [...text.matchAll(/\.(debug|info|warn|error|fatal)\(\s*\{\s*event: '([a-z-]+)'/g)].map(([, level, event]) => [
        event,
        level,
      ]),
    )
    const real = [...new Set(logged.map((each) => each.join(' ')))]
    const rows = tableRows(part('docs/operations/logs.md', 'events')).flatMap(([event, levels]) =>
      levels!.split(', ').map((level) => `${event} ${level}`),
    )
    assert.deepEqual(rows.sort(), real.sort())

    const events = new Set(logged.map(([event]) => event))
    for (const path of OPERATIONS) {
      const text = page(path)
      const named = [...text.matchAll(/\bevents?\s+`([a-z-]+)`/g)].map(([, event]) => event!)
      const searched = [...text.matchAll(/"event":"([a-z-]*)(?:\(([a-z|-]+)\))?"/g)].flatMap(([, start, ends]) =>
        (ends ?? '').split('|').map((end) => start! + end),
      )
      for (const event of [...named, ...searched]) assert.ok(event === '' || events.has(event), `${path}: ${event}`)
    }
  })

  it('name in their kubectl commands only what k8s/ has', () => {
    const resources = build(join(ROOT, 'k8s/overlays/production'))
    const kinds: Record<string, string> = {
      deployment: 'Deployment',
      hpa: 'HorizontalPodAutoscaler',
      configmap: 'ConfigMap',
      svc: 'Service',
      deploy: 'Deployment',
    }
    const named = (kind: string, name: string) =>
      assert.ok(
        resources.some((each) => each.kind === kinds[kind] && each.metadata.name === name),
        `${kind} ${name}`,
      )
    const lines = linesOf('sh kubectl')
    assert.ok(lines.length > 20)
    for (const line of lines) {
      assert.match(line, /^(logs\(\) \{ )?kubectl /)
      for (const [, kind, name] of line.matchAll(/\b(deployment|deploy|svc)\/([\w-]+)/g)) named(kind!, name!)
      for (const [, kind, name] of line.matchAll(/ (hpa|configmap) ([a-z][\w-]*)/g)) named(kind!, name!)
      for (const [, folder] of line.matchAll(/(?:-k|kustomize) (\S+)/g)) build(join(ROOT, folder!))
      for (const [, file] of line.matchAll(/ -f (\S+)/g)) assert.ok(existsSync(join(ROOT, file!)), file)
      const [, namespace] = / -n (\S+)/.exec(line) ?? []
      if (namespace)
        assert.ok(resources.some(({ kind, metadata }) => kind === 'Namespace' && metadata.name === namespace))
    }
  })

  it('name in their compose commands only services of compose.yaml, and one more that they say to add', () => {
    const services = new Set([...Object.keys(parse(page('compose.yaml')).services), 'gateway-3'])
    const lines = linesOf('sh compose')
    assert.ok(lines.length > 15)
    for (const line of lines) {
      assert.match(line, /^(logs\(\) \{ )?docker compose (build|exec|kill|logs|ps|stats|stop|top|up)\b/)
      for (const [service] of line.matchAll(/\b(gateway-\d|haproxy|prometheus|grafana)\b/g))
        assert.ok(services.has(service), service)
      const [, service] = / exec (\S+)/.exec(line) ?? []
      if (service) assert.ok(services.has(service), service)
    }
  })

  it('name in their systemd commands only the unit that deploy.md has', () => {
    const lines = linesOf('sh systemd')
    assert.ok(lines.length > 10)
    for (const line of lines) {
      assert.match(line, /^((logs\(\) \{ )?(systemctl|journalctl|systemd-cgtop)|ln -sfn|curl -fsS) /)
      if (/^(logs|systemctl|journalctl)/.test(line) && !line.includes('daemon-reload'))
        assert.match(line, /\bwsproxy@(\d|\*)/)
    }
    for (const kind of ['kubectl', 'compose', 'systemd']) {
      const actions = section('Actions').split('\n### ').slice(1)
      for (const action of actions.filter((each) => each.includes('```sh kubectl')))
        assert.ok(action.includes(`\`\`\`sh ${kind}\n`), `${action.split('\n')[0]}: ${kind}`)
    }
  })

  it('have a systemd unit that systemd accepts, with settings that the gateway accepts', (t) => {
    const [unit] = blocks('ini unit')
    const [env] = blocks('ini env')
    const read = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit!.text)![1]!
    const pairs = [...read('Environment').replaceAll('%i', '1').split(' '), ...env!.text.trim().split('\n')]
    const { config } = loadConfig(
      Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, pair.slice(pair.indexOf('=') + 1)])),
    )
    assert.deepEqual([config.listenAddr.port, config.adminPort], [8081, 9101])
    assert.ok(Number(read('TimeoutStopSec')) * 1000 > config.shutdownGracePeriodMs + 5000)
    assert.equal(mostSockets(config, Number(read('LimitNOFILE')) - 100), 50_000)
    assert.ok(page('Dockerfile').includes('"--max-semi-space-size=4", "dist/src/cli/main.js"'))

    if (spawnSync(VERIFIER, ['--version']).error) return t.skip('needs systemd-analyze on the PATH')
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-unit-'))
    try {
      const file = join(folder, 'wsproxy@1.service')
      writeFileSync(file, unit!.text.replace('/usr/bin/node', process.execPath))
      const { status, stderr } = spawnSync(VERIFIER, ['verify', file], { encoding: 'utf8' })
      const ours = stderr.split('\n').filter((line) => line.includes('wsproxy@'))
      assert.deepEqual([status, ours], [0, []], stderr)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('have settings for Heroku that fit its router and its 30 s, and a Procfile that starts the gateway', () => {
    const [env] = blocks('ini heroku')
    const pairs = env!.text.trim().split('\n')
    const { config } = loadConfig({
      PORT: '9107',
      REDIS_URL: 'rediss://:a-password@redis.example.org:16390',
      ...Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, string])),
    })
    assert.deepEqual([config.listenAddr.host, config.listenAddr.port], ['0.0.0.0', 9107])
    assert.equal(config.trustProxy, 'x-forwarded-for')
    assert.ok(config.pingIntervalMs * 2 < 55_000)
    assert.ok(config.drainWindowMs < config.shutdownGracePeriodMs && config.shutdownGracePeriodMs < 30_000)
    const [procfile] = blocks('yaml procfile')
    const { web } = parse(procfile!.text)
    const [program, ...args] = web.split(' ')
    assert.deepEqual([program, args.at(-1)], ['node', 'serve'])
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args.slice(0, -1), '--version'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /\d+\.\d+\.\d+/)
  })
})
