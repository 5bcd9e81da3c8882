import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { closes, frameErrors, refusals } from '../src/contract/codes.ts'
import { GAP_REASONS, LOSS_REASONS } from '../src/contract/reasons.ts'
import { Metrics } from '../src/telemetry/metrics.ts'
import { type BareGateway, bareGatewayFor } from './support/bare.ts'
import { connect } from './support/client.ts'
import { sample } from './support/gateway.ts'
import { build } from './support/kustomize.ts'
import { freePort } from './support/ports.ts'
import { redisFor, type TestRedis, withoutRealRedis } from './support/redis.ts'
import { atEnd, scopeOf } from './support/scope.ts'
import { eventually, within } from './support/wait.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'RUNBOOK.md'), 'utf8')

/** The text under a heading of the second level. */
function section(heading: string): string {
  const [, text] = PAGE.split(`\n## ${heading}\n`)
  assert.ok(text, `RUNBOOK.md has a section ${heading}`)
  return text.split('\n## ')[0]!
}
/** First cells of the rows of its table. */
const rows = (heading: string): string[] =>
  [...section(heading).matchAll(/^\| `?([\w-]+)`? \|/gm)].map(([, cell]) => cell!).slice(1)
/** Code blocks of one kind, with the heading that they stand under. */
const blocks = (kind: string): { under: string; text: string }[] =>
  [...PAGE.matchAll(new RegExp(`^\`\`\`sh ${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((match) => ({
    under: [...PAGE.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)![1]!,
    text: match[1]!,
  }))

describe('the runbook', () => {
  it('has an entry for every alert, and for none that does not exist', () => {
    const groups: { rules: { alert?: string }[] }[] = parse(
      readFileSync(join(ROOT, 'k8s/monitoring/alerts.yaml'), 'utf8'),
    ).groups
    const alerts = groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? []))
    const entries = [...section('Alerts').matchAll(/^### (\w+)$/gm)].map(([, name]) => name!)
    assert.deepEqual(entries.sort(), alerts.sort())
  })

  it('tells of each alert what it means, its causes, what to do and what to tell users', () => {
    for (const entry of section('Alerts').split('\n### ').slice(1)) {
      for (const part of ['**Means:**', '**Causes, likeliest first:**\n\n1. ', '**Do:**', '**Tell users:**']) {
        assert.ok(entry.includes(part), `${entry.split('\n')[0]}: ${part}`)
      }
    }
  })

  it('has every close code, and no other', () => {
    const codes = Object.values(closes).map(({ code }) => String(code))
    assert.deepEqual(rows('Close codes').sort(), codes.sort())
  })

  it('has every refusal, and no other', () => assert.deepEqual(rows('Refusals').sort(), Object.keys(refusals).sort()))

  it('has every error code, and no other', () => {
    assert.deepEqual(rows('Error codes').sort(), Object.keys(frameErrors).sort())
  })

  it('has every metric of ours, and no other', async () => {
    const metrics = new Metrics()
    const names = (await metrics.registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => name.startsWith('wsproxy_'))
    metrics.stop()
    assert.deepEqual(rows('Metrics').sort(), names.sort())
  })

  it('has every reason of losses and gaps, and no other', () => {
    assert.deepEqual(rows('Reasons').sort(), [...new Set([...LOSS_REASONS, ...GAP_REASONS])].sort())
  })

  it('links only to headings that it has', () => {
    const anchors = new Set(
      [...PAGE.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!.toLowerCase().replaceAll(' ', '-')),
    )
    for (const [, anchor] of PAGE.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(anchors.has(anchor!), anchor)
  })

  it('names in its kubectl commands only what k8s/ has', () => {
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
    const lines = blocks('kubectl').flatMap(({ text }) => text.trim().split('\n'))
    assert.ok(lines.length > 20)
    for (const line of lines) {
      assert.match(line, /^kubectl /)
      for (const [, kind, name] of line.matchAll(/\b(deployment|deploy|svc)\/([\w-]+)/g)) named(kind!, name!)
      for (const [, kind, name] of line.matchAll(/ (hpa|configmap) ([a-z][\w-]*)/g)) named(kind!, name!)
      for (const [, folder] of line.matchAll(/(?:-k|kustomize) (\S+)/g)) build(join(ROOT, folder!))
      for (const [, file] of line.matchAll(/ -f (\S+)/g)) assert.ok(existsSync(join(ROOT, file!)), file)
      const [, namespace] = / -n (\S+)/.exec(line) ?? []
      if (namespace)
        assert.ok(resources.some(({ kind, metadata }) => kind === 'Namespace' && metadata.name === namespace))
    }
  })
})

const missing = ['sh', 'curl', 'redis-cli'].filter((name) => spawnSync(name, ['-c', 'exit 0', '--version']).error)
if (withoutRealRedis) missing.push('redis-server')
describe('the commands of the runbook', {
  skip: missing.length > 0 && `needs ${missing.join(' and ')} on the PATH`,
}, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: BareGateway
  let folder: string

  before(async () => {
    redis = await redisFor(suite)
    gateway = bareGatewayFor(suite, redis.url, { ADMIN_PORT: String(await freePort()) })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-runbook-'))
    atEnd(suite, () => rmSync(folder, { recursive: true, force: true }))
    const main = join(ROOT, 'dist/src/cli/main.js')
    writeFileSync(join(folder, 'wsproxy'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
    chmodSync(join(folder, 'wsproxy'), 0o755)
  })

  it('give a user of Redis all the rights that the gateway needs: a session and a run work, and nothing is denied', async (t) => {
    const [, rules] = /ACL SETUSER runbook-wsproxy on '>a-password' (.*)$/m.exec(PAGE)!
    const admin = await redis.client()
    const words = rules!.replaceAll(/['\\]/g, '').split(' ')
    await admin.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>secret', ...words])
    const url = redis.url.replace('//', '//limited:secret@')
    const own = bareGatewayFor(t, url, {
      REDIS_CANARY_INTERVAL: '50ms',
      SESSION_FLOW_SIGNAL: 'true',
      REDIS_SET_KEYSPACE_EVENTS: 'true',
    })
    await eventually(() => own.gateway.redisReady, 'the gateway to reach Redis as that user')
    for (const grace of ['one', 'two']) {
      await admin.set(`session:${grace}:auth`, 'token')
      const client = await connect(`${own.ws}/a/ws/${grace}`, { token: 'token' })
      client.send({ type: 'ask' })
      await admin.publish(`session:${grace}:down`, '{"n":1}')
      await client.take(1)
      await client.close()
    }
    const run = await connect(`${own.ws}/acl-run`)
    await run.take(1)
    await admin.hSet('acl-run', 'timestamps:build_channels', '100')
    await run.take(2)
    await run.close()
    const scrape = async () => (await fetch(`${own.http}/metrics`)).text()
    await eventually(
      async () => sample(await scrape(), 'wsproxy_redis_canary_seconds_count') > 0,
      'a canary to come back',
    )
    const page = await scrape()
    assert.equal(sample(page, 'wsproxy_errors_total', { type: 'redis' }), 0)
    const doctor = spawnSync(process.execPath, [join(ROOT, 'dist/src/cli/main.js'), 'doctor'], {
      env: { REDIS_URL: url, MAX_CONNECTIONS: '100' },
      encoding: 'utf8',
    })
    assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr)
    const denied = (await admin.sendCommand(['ACL', 'LOG'])) as unknown[]
    assert.deepEqual(denied, [])
  })

  const runnable = blocks('runnable')
  it('are many', () => assert.ok(runnable.length >= 25, `${runnable.length}`))

  for (const [i, { under, text }] of runnable.entries()) {
    it(`work under "${under}" (block ${i + 1})`, async () => {
      const env = {
        PATH: `${folder}${delimiter}${process.env.PATH}`,
        GATEWAY: gateway.http,
        ADMIN: gateway.admin,
        REDIS_URL: redis.url,
        REDIS_ADMIN_URL: redis.url,
      }
      const child = spawn('sh', ['-euc', text], { env, cwd: folder })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          said += chunk
        })
      }
      const [status] = await within(once(child, 'close'), `the end of: ${text}`)
      assert.equal(status, 0, `${text}\n${said}`)
      assert.doesNotMatch(said, /^(\(error\) |ERR |NOPERM|WRONGPASS|Could not connect)/m, text)
      assert.notEqual(said.trim(), '', text)
    })
  }
})
