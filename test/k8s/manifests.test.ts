import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { parseDuration } from '../../src/config/kinds.ts'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/table.ts'
import { type BareGateway, bareGatewayFor } from '../support/bare.ts'
import { problemsOf } from '../support/kubernetes.ts'
import { build, documents, type Resource } from '../support/kustomize.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { sentinelExample, withoutExample } from '../support/sentinel-example.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const K8S = join(ROOT, 'k8s')
const BUILT = ['overlays/dev', 'overlays/production', 'redis-sentinel'] as const
const built = new Map(BUILT.map((folder) => [folder, build(join(K8S, folder))]))
const production = built.get('overlays/production')!
const find = (kind: string, name = 'wsproxy', among = production): Resource => {
  const found = among.find((each) => each.kind === kind && each.metadata.name === name)
  assert.ok(found, `${kind} ${name}`)
  return found
}
const pod = () => find('Deployment').spec.template.spec
const container = () => pod().containers[0]
const NAMES = new Set<string>(Object.values(settings).map(({ env }) => env))

describe('every manifest', () => {
  const loose = readdirSync(K8S, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.yaml'))
    .map((path) => join(K8S, path))
    .filter((path) => !/kustomization|prometheus-adapter|alerts|grafana|k8s.chart|lb.(envoy|traefik)/.test(path))

  it('is valid for Kubernetes: no unknown, missing or mistyped field', () => {
    for (const [folder, resources] of built) {
      for (const resource of resources) assert.deepEqual(problemsOf(resource), [], folder)
    }
    assert.ok(loose.length > 12)
    for (const path of loose) for (const resource of documents(path)) assert.deepEqual(problemsOf(resource), [], path)
  })

  it('fails the validation with a typo, a text for a number, or a missing selector', () => {
    const deployment = structuredClone(find('Deployment'))
    deployment.spec.template.spec.containers[0].readinesProbe = {}
    deployment.spec.replicas = 'three'
    delete deployment.spec.selector
    const problems = problemsOf(deployment).join('\n')
    for (const each of ['readinesProbe', 'replicas must be number', "required property 'selector'"])
      assert.ok(problems.includes(each), each)
    assert.throws(() => problemsOf({ apiVersion: 'apps/v7', kind: 'Deployment' }), /no schema/)
  })

  it('has Ingresses that share an upstream only if they balance it in the same way', () => {
    const balances = new Map<string, string>()
    for (const { kind, metadata, spec } of documents(join(K8S, 'lb/ingress-nginx.yaml')).filter(
      (each) => each.kind === 'Ingress',
    )) {
      const name = 'nginx.ingress.kubernetes.io/'
      const { [`${name}upstream-hash-by`]: hash, [`${name}load-balance`]: balance } = (
        metadata as unknown as { annotations: Record<string, string> }
      ).annotations
      for (const { http } of spec.rules) {
        for (const { backend } of http.paths) {
          const upstream = `${backend.service.name}:${backend.service.port.name}`
          const how = `${hash} ${balance}`
          assert.equal(balances.get(upstream) ?? how, how, `${kind} ${metadata.name}: ${upstream}`)
          balances.set(upstream, how)
        }
      }
    }
    assert.equal(balances.size, 2)
  })

  it('waits until the clients of one pod are back before the next pod drains', () => {
    const { minReadySeconds } = find('Deployment').spec
    // It sleeps by a timer of Node, in ms.
    const preStop = Number(/\b(\d{4,5})\b/.exec(JSON.stringify(container().lifecycle.preStop))?.[1]) / 1000
    const window = (parseDuration(find('ConfigMap').data.DRAIN_WINDOW) ?? 0) / 1000
    assert.ok(minReadySeconds > preStop + window, `${minReadySeconds} s against ${preStop} + ${window}`)
  })

  it('belongs to a kustomization, except for two templates', () => {
    const used = new Set(
      ['base', 'monitoring', ...BUILT].flatMap((folder) => {
        const { resources } = parse(readFileSync(join(K8S, folder, 'kustomization.yaml'), 'utf8'))
        return resources.map((each: string) => join(K8S, folder, each))
      }),
    )
    const left = loose.filter((path) => !used.has(path)).map((path) => path.slice(K8S.length + 1))
    assert.deepEqual(left.sort(), ['base/secret.example.yaml', 'lb/ingress-nginx.yaml'])
  })

  it('of monitoring includes every dashboard', () => {
    const { data } = find('ConfigMap', 'wsproxy-dashboards')
    assert.deepEqual(Object.keys(data).sort(), readdirSync(join(K8S, 'monitoring/dashboards')).sort())
  })

  it('of Redis has scripts that a shell can parse', () => {
    const { data } = find('ConfigMap', 'redis-sentinel', built.get('redis-sentinel')!)
    assert.deepEqual(Object.keys(data).sort(), ['master.sh', 'redis.sh', 'sentinel.sh'])
    for (const [name, script] of Object.entries<string>(data)) {
      assert.equal(spawnSync('sh', ['-n'], { input: script }).status, 0, name)
    }
  })

  it('of the production overlay is in its namespace', () => {
    for (const { kind, metadata } of production)
      if (kind !== 'Namespace') assert.equal(metadata.namespace, 'wsproxy', kind)
  })
})

describe('the manifests', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: BareGateway
  before(async () => {
    redis = await redisFor(suite)
    gateway = bareGatewayFor(suite, redis.url, { ADMIN_PORT: String(await freePort()) })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
  })

  it('set only settings that exist, to values that the gateway accepts', () => {
    for (const [folder, resources] of built) {
      for (const { kind, data, stringData, metadata } of resources) {
        if (!['ConfigMap', 'Secret'].includes(kind) || metadata.name !== 'wsproxy') continue
        for (const name of Object.keys(data ?? stringData)) assert.ok(NAMES.has(name), `${folder}: ${name}`)
      }
    }
    const [secret] = documents(join(K8S, 'base/secret.example.yaml'))
    const all = { ...find('ConfigMap').data, ...secret!.stringData }
    for (const name of Object.keys(all)) assert.ok(NAMES.has(name), name)
    assert.throws(
      () => loadConfig({ NODE_ENV: 'production', ...all }),
      /ADMIN_TOKEN: must not be the value of an example/,
    )
    const ADMIN_TOKEN = randomBytes(32).toString('hex')
    const { config } = loadConfig({ NODE_ENV: 'production', ...all, ADMIN_TOKEN })
    assert.equal(config.adminPort, 9100)
    const dev = built.get('overlays/dev')!
    loadConfig({
      NODE_ENV: 'production',
      ...find('ConfigMap', 'wsproxy', dev).data,
      ...find('Secret', 'wsproxy', dev).stringData,
    })
  })

  it('and compose.yaml agree: it sets valid settings and mounts files that exist', () => {
    const compose = parse(readFileSync(join(ROOT, 'compose.yaml'), 'utf8'))
    const { environment, stop_grace_period: grace } = compose.services['gateway-1']
    const { config } = loadConfig({ NODE_ENV: 'production', ...environment })
    assert.ok(parseDuration(grace)! > config.shutdownGracePeriodMs)
    for (const [name, { volumes = [] }] of Object.entries<{ volumes?: string[] }>(compose.services)) {
      for (const volume of volumes) assert.ok(existsSync(join(ROOT, volume.split(':')[0]!)), `${name}: ${volume}`)
    }
    const { scrape_configs: scrapes } = parse(readFileSync(join(K8S, 'monitoring/prometheus.yml'), 'utf8'))
    const targets = [1, 2].map((i) => `gateway-${i}:${environment.ADMIN_PORT}`)
    assert.deepEqual(scrapes[0].static_configs[0].targets, targets)
    assert.match(readFileSync(join(K8S, 'lb/haproxy.cfg'), 'utf8'), /server gateway-1 gateway-1:8080\n/)
    assert.equal(environment.TRUST_PROXY, 'x-forwarded-for')
  })

  it('name the ports that the gateway listens on, and Services that select its pods', () => {
    const { LISTEN_ADDR, ADMIN_PORT } = find('ConfigMap').data
    const ports = Object.fromEntries(
      container().ports.map((port: { name: string; containerPort: number }) => [port.name, port.containerPort]),
    )
    assert.deepEqual(ports, { http: Number(LISTEN_ADDR.split(':')[1]), admin: Number(ADMIN_PORT) })
    for (const name of ['wsproxy', 'wsproxy-admin']) {
      const { selector, ports: own } = find('Service', name).spec
      assert.deepEqual(selector, find('Deployment').spec.selector.matchLabels)
      for (const { targetPort } of own) assert.ok(targetPort in ports, targetPort)
    }
    const monitor = find('ServiceMonitor').spec
    const scraped = production.filter(({ kind, metadata }) => {
      const wanted = Object.entries(monitor.selector.matchLabels)
      return kind === 'Service' && wanted.every(([key, value]) => metadata.labels?.[key] === value)
    })
    assert.deepEqual(
      scraped.map(({ metadata }) => metadata.name),
      ['wsproxy-admin'],
    )
    assert.equal(scraped[0]!.metadata.labels![monitor.jobLabel], 'wsproxy', 'the job that rules and dashboards ask for')
    for (const { port } of monitor.endpoints) assert.equal(scraped[0]!.spec.ports[0].name, port)
    for (const { ports: allowed } of find('NetworkPolicy').spec.ingress)
      for (const { port } of allowed) assert.ok(port in ports)
  })

  it('probe and scrape paths that answer 200 on their ports while the gateway is healthy', async () => {
    const at: Record<string, string> = { http: gateway.http, admin: gateway.admin }
    const paths = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => container()[name].httpGet)
    for (const { path, port } of paths) assert.equal((await fetch(at[port] + path)).status, 200, path)
    assert.deepEqual(
      paths.map(({ path, port }) => `${port} ${path}`),
      ['http /health', 'http /readyz', 'http /livez'],
    )
    for (const { port, path } of find('ServiceMonitor').spec.endpoints)
      assert.equal((await fetch(at[port] + path)).status, 200)
  })

  it('keep a pod without Redis alive but unready, because a restart would not bring Redis back', async (t) => {
    const away = bareGatewayFor(t, 'redis://127.0.0.1:1', { ADMIN_PORT: String(await freePort()) })
    assert.equal((await fetch(away.http + container().livenessProbe.httpGet.path)).status, 200)
    assert.equal((await fetch(away.http + container().readinessProbe.httpGet.path)).status, 503)
  })

  it('give a pod longer to end than its drain takes', () => {
    const { config } = loadConfig(find('ConfigMap').data)
    const [, , script] = container().lifecycle.preStop.exec.command
    const preStopMs = Number(/(\d+)\)$/.exec(script)![1])
    const graceMs = pod().terminationGracePeriodSeconds * 1000
    assert.ok(graceMs >= preStopMs + config.shutdownGracePeriodMs + 5000, `${graceMs}`)
    assert.ok(config.drainWindowMs <= config.shutdownGracePeriodMs / 2)
    const { readinessProbe } = container()
    assert.ok(preStopMs >= readinessProbe.periodSeconds * readinessProbe.failureThreshold * 1000)
  })

  it('let a pod end within the 30 s that many platforms give', () => {
    assert.ok(pod().terminationGracePeriodSeconds <= 30)
  })

  it('let out what the configured features need, and each only to its peers', () => {
    const rules: { to?: unknown[]; ports: { port: number }[] }[] = find('NetworkPolicy').spec.egress
    for (const { to = [] } of rules) assert.ok(to.length > 0, 'a rule without peers lets out to every address')
    for (const each of find('NetworkPolicy').spec.ingress) assert.ok(each.from.length > 0)
    const open = new Set(rules.flatMap(({ ports }) => ports.map(({ port }) => port)))
    const [secret] = documents(join(K8S, 'base/secret.example.yaml'))
    const dev = find('Secret', 'wsproxy', built.get('overlays/dev')!)
    const values = { ...find('ConfigMap').data, ...secret!.stringData } as Record<string, string>
    const urls = Object.values({ ...values, dev: dev.stringData.REDIS_URL }).filter((text) => /^rediss?:/.test(text))
    assert.equal(urls.length, 2)
    for (const url of urls) assert.ok(open.has(Number(new URL(url).port || 6379)), url)
    const { ports } = find('StatefulSet', 'redis', built.get('redis-sentinel')!).spec.template.spec.containers[1]
    for (const { containerPort } of ports) assert.ok(open.has(containerPort), `${containerPort}`)
    const text = readFileSync(join(K8S, 'base/networkpolicy.yaml'), 'utf8')
    const reaching = ['httpUrl', 'redisUrl']
    const named = Object.values(settings).filter(({ env, kind }) => reaching.includes(kind) || env === 'SENTRY_DSN')
    for (const { env } of named) assert.ok(text.includes(env), env)
  })

  it('of the Sentinel example take commands with the password only', { skip: withoutExample() }, async (t) => {
    const { data } = find('ConfigMap', 'redis-sentinel', built.get('redis-sentinel')!)
    const { password, redis: ask, sentinel, commandLines } = await sentinelExample(t, data)
    await eventually(() => /NOAUTH/.test(ask(['PING'])), 'the server to ask for the password')
    assert.match(ask(['PING'], password), /PONG/)
    assert.equal(ask(['CONFIG', 'GET', 'masterauth'], password), `masterauth\n${password}\n`)
    await eventually(() => /NOAUTH/.test(sentinel(['PING'])), 'the Sentinel to ask for the password')
    const state = () => sentinel(['SENTINEL', 'MASTER', 'wsproxy'], password)
    await eventually(() => /\nflags\nmaster\n/.test(state()) && /\nrole-reported\nmaster\n/.test(state()), 'its master')
    for (const line of commandLines()) assert.ok(line.includes('redis-server') && !line.includes(password), line)
  })

  it('run the image without root, without writes and without a Kubernetes token', () => {
    // The last stage is the image.
    const [, user] = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^USER (\d+)/gm)].at(-1)!
    assert.equal(pod().securityContext.runAsUser, Number(user))
    assert.equal(pod().securityContext.runAsNonRoot, true)
    assert.equal(pod().automountServiceAccountToken, false)
    const { readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = container().securityContext
    assert.deepEqual([readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities.drop], [true, false, ['ALL']])
  })

  it('scale by a metric that exists, and alert at 80 % of the limits', () => {
    const pods = find('HorizontalPodAutoscaler').spec.metrics.find(({ type }: { type: string }) => type === 'Pods').pods
    const adapter = parse(readFileSync(join(K8S, 'monitoring/prometheus-adapter.yaml'), 'utf8')).rules.custom[0]
    assert.equal(pods.metric.name, adapter.name.as)
    assert.ok(readFileSync(join(ROOT, 'docs/reference/metrics.md'), 'utf8').includes(`\`${pods.metric.name}\``))
    const limit = Number(find('ConfigMap').data.MAX_CONNECTIONS)
    const perAddress = Number(find('ConfigMap').data.MAX_CONNECTIONS_PER_IP)
    assert.ok(perAddress > 0 && perAddress <= limit / 10, 'one address cannot take all places')
    assert.ok(Number(pods.target.averageValue) <= limit / 2)
    const alerts = readFileSync(join(K8S, 'monitoring/alerts.yaml'), 'utf8')
    assert.ok(alerts.includes(`(wsproxy_active_connections) > ${limit * 0.8}"`))
    const memoryBytes = Number.parseInt(container().resources.limits.memory, 10) * 1024 ** 2
    const [, warnedAt] = /process_resident_memory_bytes\{job="wsproxy"\} > (\w+)/.exec(alerts)!
    assert.ok(Number(warnedAt) < memoryBytes && Number(warnedAt) > memoryBytes / 2)
  })
})
