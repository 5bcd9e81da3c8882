import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { parse, parseAllDocuments } from 'yaml'
import { aliasesOf } from '../../src/config/aliases.ts'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/table.ts'
import { problemsOf } from '../support/kubernetes.ts'
import { build, documents, type Resource } from '../support/kustomize.ts'
import { blocks } from '../support/operations.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const CHART = join(ROOT, 'k8s/chart')
const read = (file: string) => readFileSync(join(CHART, file), 'utf8')
const values = parse(read('values.yaml'))
const schema = JSON.parse(read('values.schema.json'))
const check = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema)

/** What the schema says about the default values with others merged over them, as Helm does. */
function refusals(over: object): string[] {
  check(merged(values, over))
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

// biome-ignore lint/suspicious/noExplicitAny: any values
function merged(under: any, over: any): any {
  const isMap = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap(under) || !isMap(over)) return over
  const both = { ...under }
  for (const [key, value] of Object.entries(over)) both[key] = merged(under[key], value)
  return both
}

describe('the values of the Helm chart', () => {
  it('fit their schema, as do those of the page', () => {
    assert.deepEqual(refusals({}), [])
    const [example] = blocks('yaml values')
    assert.deepEqual(refusals(parse(example!.text)), [])
  })

  it('are refused with a typo, a wrong type, or a list that admits every address', () => {
    const refused: [object, RegExp][] = [
      [{ replica: 3 }, /additional properties/],
      [{ image: { tags: 'x' } }, /^\/image .*additional properties/],
      [{ replicas: 'three' }, /^\/replicas must be integer/],
      [{ replicas: 0 }, /^\/replicas must be >= 1/],
      [{ settings: { logLevel: 'info' } }, /^\/settings .*pattern/],
      [{ settings: { MAX_CONNECTIONS: [1] } }, /^\/settings\/MAX_CONNECTIONS must be string/],
      [{ networkPolicy: { loadBalancer: [] } }, /^\/networkPolicy\/loadBalancer .*fewer than 1/],
      [{ networkPolicy: { redis: { peers: [] } } }, /^\/networkPolicy\/redis\/peers .*fewer than 1/],
      [{ networkPolicy: { egress: [{ ports: [{ port: 443 }] }] } }, /^\/networkPolicy\/egress\/0 .*'to'/],
    ]
    for (const [over, expected] of refused) {
      const found = refusals(over)
      assert.ok(
        found.some((each) => expected.test(each)),
        `${JSON.stringify(over)}: ${found.join(', ')}`,
      )
    }
  })

  it('may not hold a secret setting, because a ConfigMap shows it to every reader', () => {
    const secret = Object.values(settings)
      .filter((each) => each.secret)
      .flatMap(({ env }) => [env, `WSPROXY_${env}`, ...aliasesOf(env).map(({ name }) => name)])
    assert.deepEqual([...schema.properties.settings.propertyNames.not.enum].sort(), [...secret].sort())
    for (const env of secret) assert.notDeepEqual(refusals({ settings: { [env]: 'x' } }), [], env)
  })

  it('have the settings of k8s/base, which the gateway accepts', () => {
    const [base] = documents(join(ROOT, 'k8s/base/configmap.yaml'))
    assert.deepEqual(values.settings, base!.data)
    loadConfig(values.settings)
  })

  it('take the image of this version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const chart = parse(read('Chart.yaml'))
    assert.deepEqual([chart.version, chart.appVersion], [version, version])
  })
})

const HELM = 'helm'
const skip = spawnSync(HELM, ['version']).status === 0 ? false : 'needs helm on the PATH'

describe('the Helm chart', { skip }, () => {
  function helm(over: object, release = 'wsproxy') {
    const args = ['template', release, CHART, '--kube-version', '1.30.0', '--values', '-']
    return spawnSync(HELM, args, { encoding: 'utf8', input: JSON.stringify(over) })
  }
  function render(over: object, release?: string): Resource[] {
    const { status, stdout, stderr } = helm(over, release)
    assert.equal(status, 0, stderr)
    return parseAllDocuments(stdout, { uniqueKeys: true })
      .map((document) => {
        assert.deepEqual(document.errors, [])
        return document.toJS()
      })
      .filter((resource) => resource !== null)
  }
  const find = (among: Resource[], kind: string, name = 'wsproxy'): Resource => {
    const found = among.find((each) => each.kind === kind && each.metadata.name === name)
    assert.ok(found, `${kind} ${name}`)
    return found
  }

  const ADDED = /^(app\.kubernetes\.io\/(instance|version|managed-by)|helm\.sh\/chart|checksum\/settings)$/
  /** A resource without the labels and annotations that only the chart adds. */
  const bare = (resource: unknown): unknown =>
    JSON.parse(JSON.stringify(resource), (key, value) => (ADDED.test(key) ? undefined : value))
  const sorted = (resources: Resource[]) =>
    [...resources].sort((a, b) => `${a.kind} ${a.metadata.name}`.localeCompare(`${b.kind} ${b.metadata.name}`))

  it('renders exactly what k8s/base has', () => {
    const base = build(join(ROOT, 'k8s/base'))
    for (const each of base)
      for (const container of each.spec?.template?.spec?.containers ?? []) container.image += ':0'
    const chart = render({ image: { tag: '0' } })
    const names = (resources: Resource[]) => sorted(resources).map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    assert.deepEqual(names(chart), names(base))
    for (const [at, each] of sorted(chart).entries()) {
      assert.deepEqual(bare(each), sorted(base)[at], `${each.kind} ${each.metadata.name}`)
      assert.deepEqual(problemsOf(each), [])
    }
  })

  it('renders the Ingresses of k8s/lb, and valid resources for the values of the page', () => {
    const withIngress = render({ ingress: { enabled: true } })
    for (const each of documents(join(ROOT, 'k8s/lb/ingress-nginx.yaml'))) {
      const own = bare(find(withIngress, each.kind, each.metadata.name)) as Resource
      if (!each.metadata.labels) delete own.metadata.labels
      assert.deepEqual(own, each, each.metadata.name)
    }
    const [example] = blocks('yaml values')
    const rendered = render(parse(example!.text))
    for (const each of rendered) assert.deepEqual(problemsOf(each), [], each.kind)
    assert.equal(find(rendered, 'Ingress').spec.tls[0].secretName, 'wsproxy-tls')
    assert.equal(find(rendered, 'HorizontalPodAutoscaler').spec.metrics.length, 1)
    const { ALLOWED_ORIGINS } = find(rendered, 'ConfigMap').data
    assert.equal(ALLOWED_ORIGINS, 'https://*.example.org')
  })

  it('writes settings as text, and replaces the pods when one changes', () => {
    const over = { MAX_CONNECTIONS: 1_000_000, DEMO: true, LOG_LEVEL: null, LISTEN_ADDR: ':8090', ADMIN_PORT: 9200 }
    const rendered = render({ settings: over })
    const { data } = find(rendered, 'ConfigMap')
    assert.deepEqual([data.MAX_CONNECTIONS, data.DEMO, data.LOG_LEVEL], ['1000000', 'true', undefined])
    const { template } = find(rendered, 'Deployment').spec
    const ports = template.spec.containers[0].ports.map(({ containerPort }: { containerPort: number }) => containerPort)
    assert.deepEqual([...ports, find(rendered, 'Service', 'wsproxy-admin').spec.ports[0].port], [8090, 9200, 9200])
    const before = find(render({}), 'Deployment').spec.template.metadata.annotations['checksum/settings']
    assert.notEqual(template.metadata.annotations['checksum/settings'], before)
  })

  it('keeps two releases in one namespace apart', () => {
    const other = render({ autoscaling: { enabled: false }, replicas: 3, secretName: 'redis' }, 'second')
    const { spec } = find(other, 'Deployment', 'second')
    assert.equal(spec.replicas, 3)
    assert.equal(spec.selector.matchLabels['app.kubernetes.io/instance'], 'second')
    for (const name of ['second', 'second-admin'])
      assert.deepEqual(find(other, 'Service', name).spec.selector, spec.selector.matchLabels)
    const from = spec.template.spec.containers[0].envFrom
    assert.deepEqual(from, [{ configMapRef: { name: 'second' } }, { secretRef: { name: 'redis' } }])
    assert.ok(other.every(({ kind }) => kind !== 'HorizontalPodAutoscaler'))
  })

  it('refuses bad values and a drain that outlasts the pod', () => {
    assert.match(helm({ replica: 1 }).stderr, /replica/)
    assert.match(helm({ settings: { REDIS_URL: 'redis://x' } }).stderr, /settings/)
    const { stderr } = helm({ settings: { SHUTDOWN_GRACE_PERIOD: '60s' } })
    assert.match(stderr, /terminationGracePeriodSeconds is 30, .* 65 s: set it to 70 or more/)
    render({ settings: { SHUTDOWN_GRACE_PERIOD: '60s' }, terminationGracePeriodSeconds: 70 })
  })
})
