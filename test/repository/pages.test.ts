import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { PAGES, page, part, tableRows } from '../support/pages.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** What is not ours, or is made from what is. */
const SKIPPED = new Set(['node_modules', 'dist', '.joined', '.git', 'results'])

/** All files of the tree, by path from its root. */
const TREE = files('')

function files(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : files(path)
    return entry.isFile() ? [path] : []
  })
}

describe('the pages', () => {
  const METRICS = 'docs/reference/metrics.md'

  it('metrics.md lists every metric with its type, and no other', async () => {
    const { Metrics } = await import('../../src/telemetry/metrics.ts')
    const metrics = new Metrics()
    const real = (await metrics.registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)])
    metrics.stop()
    const rows = tableRows(part(METRICS, 'metrics')).map(([name, type]) => [name!, type!])
    assert.deepEqual(rows.sort(), real.filter(([name]) => name!.startsWith('wsproxy_')).sort())
  })

  it('codes.md explains every reason of a loss or a gap, and no other', async () => {
    const { GAP_REASONS, LOSS_REASONS } = await import('../../src/contract/reasons.ts')
    const rows = tableRows(part('docs/reference/codes.md', 'reasons'))
    const second = rows.findIndex(([metric]) => metric === 'gaps_total')
    const reasons = rows.map(([, reason]) => reason!)
    assert.deepEqual(reasons.slice(0, second).sort(), [...LOSS_REASONS].sort())
    assert.deepEqual(reasons.slice(second).sort(), [...GAP_REASONS].sort())
  })

  it('metrics.md lists the labels of each metric', async () => {
    const text = page('src/telemetry/metrics.ts')
    for (const [name, , labels] of tableRows(part(METRICS, 'metrics'))) {
      const [, inCode] = new RegExp(`'${name!.replace(/^wsproxy_/, '')}',[^[]*\\[([^\\]]*)\\]`).exec(text) ?? []
      if (inCode === undefined) continue
      const real = [...inCode.matchAll(/'(\w+)'/g)].map(([, label]) => label!)
      assert.deepEqual(
        labels!
          .split(',')
          .map((each) => each.trim())
          .filter(Boolean),
        real,
        name,
      )
    }
  })

  it('preflight.md lists every preflight check with its priority, and no other', async () => {
    const { BUILT_IN, loadChecks } = await import('../../src/preflight/registry.ts')
    const real = (await loadChecks([BUILT_IN])).map(({ name, priority }) => [name, priority])
    const rows = tableRows(part('docs/guide/preflight.md', 'checks'))
    assert.deepEqual(
      rows.map(([name, priority]) => [name, Number(priority)]),
      real,
    )
  })

  it('every page links only to files and headings that exist', () => {
    for (const path of TREE.filter((each) => each.endsWith('.md'))) {
      for (const [, file, anchor] of withoutCode(page(path)).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
        const target = file === '' ? path : join(dirname(path), file!)
        assert.ok(existsSync(join(ROOT, target)), `${path} links to ${target}`)
        if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), `${path} links to ${target}#${anchor}`)
      }
    }
  })

  it('the pages name only settings that exist', async () => {
    const { settings } = await import('../../src/config/table.ts')
    /** The pattern of a prefixed name, and what the client and the tests read. */
    const OTHERS = new Set(['WSPROXY_X', 'WSPROXY_TOKEN', 'REDIS_ULR', 'TEST_REDIS_SERVER'])
    /** What the conformance server gives to the client under test. */
    for (const name of ['URL', 'AGENT', 'ID', 'TOKEN_URL']) OTHERS.add(`WSPROXY_${name}`)
    const { ALIASES, WITHOUT_SETTING } = await import('../../src/config/aliases.ts')
    const known = new Set<string>([
      ...Object.values(settings).flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env])),
      ...ALIASES.map(({ name }) => name),
      ...Object.keys(WITHOUT_SETTING),
    ])
    const text = PAGES.map(page).join('\n')
    for (const [, name] of text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)) {
      assert.ok(known.has(name!.replace(/^WSPROXY_/, '')) || OTHERS.has(name!), name)
    }
  })

  it('README.md has at most 150 lines and 1,200 words', () => {
    const text = page('README.md')
    const lines = text.trimEnd().split('\n').length
    const words = text.split(/\s+/).filter(Boolean).length
    assert.ok(lines <= 150, `${lines} lines`)
    assert.ok(words <= 1200, `${words} words`)
  })

  it('docs/README.md lists every page of docs once', () => {
    const listed = [...page('docs/README.md').matchAll(/^- \[[^\]]+\]\(([^)#]+)\): /gm)].map(
      ([, path]) => `docs/${path}`,
    )
    // Single decisions are listed on the page of decisions.
    const isListedElsewhere = (path: string) => /^(docs\/)?README\.md$|\/decisions\/\d/.test(path)
    assert.deepEqual(listed.sort(), PAGES.filter((path) => !isListedElsewhere(path)).sort())
  })

  it('the pages show each file of examples as it is', () => {
    const shown = new Set<string>()
    for (const path of PAGES) {
      for (const [, file, text] of page(path).matchAll(/^<!-- (examples\/\S+) -->\n```\w+\n([\s\S]*?)^```$/gm)) {
        assert.equal(text, page(file!), `${path} shows ${file} as it is: copy the file into the block`)
        shown.add(file!)
      }
    }
    const real = TREE.filter((path) => path.startsWith('examples/') && path !== 'examples/demo.ts')
    assert.deepEqual([...shown].sort(), real.sort())
  })

  it('cli.md lists every command with its options, and no other', () => {
    const real = page('src/cli/program.ts')
      .split(/^(?=\w+\n? *\.command\()|^(?=const \w+ = \w+\.command\()/m)
      .filter((text) => text.includes('.command(') && text.includes('.action('))
      .flatMap((text) => {
        const [, parent, name] = /^(\w+)\s*\.command\('([\w-]+)'\)/.exec(text)!
        const values = [...text.matchAll(/\.argument\(\s*'([^']+)'/g)].map(([, value]) => ` ${value}`)
        const command = `${parent === 'program' ? '' : `${parent} `}${name}${values.join('')}`
        const options = [...text.matchAll(/\.option\(\s*'([^']+)'/g)].map(([, option]) => `${command} ${option}`)
        return [command, ...options]
      })
    let command = ''
    const rows = tableRows(part('docs/reference/cli.md', 'commands')).map(([name, option]) => {
      if (name !== '') command = name!
      return option === '' ? command : `${command} ${option}`
    })
    assert.ok(real.length > 10)
    assert.deepEqual(rows.sort(), real.sort())
  })

  it('http-api.md lists every path with its method and right, and no other', async () => {
    const { landing } = await import('../../src/http/landing.ts')
    const { about, probes } = await import('../../src/http/probes.ts')
    const { routes } = await import('../../src/preflight/http/routes.ts')
    const { liveRoutes } = await import('../../src/doors/live/routes.ts')
    const { loginRoutes } = await import('../../src/login/routes.ts')
    const { disconnectRoute } = await import('../../src/http/disconnect.ts')
    const { revokeRoute } = await import('../../src/http/revoke.ts')
    const { outboxRoute } = await import('../../src/doors/live/outbox-routes.ts')
    /** Only the routes are read here; none of them is called. */
    const parts = { metrics: async () => '' } as never
    const outbox = outboxRoute({ rate: { intervalMs: 0, burst: 1 } } as never)
    const orders = [disconnectRoute(parts), revokeRoute(parts)]
    const { StreamCalls } = await import('../../src/doors/session/stream-calls.ts')
    const streams = new StreamCalls(parts).routes
    const { LiveStreamDoor } = await import('../../src/doors/live/stream.ts')
    const liveStream = { options: { livePath: '/live' }, live: {}, metrics: { door: () => ({}) } }
    const liveStreams = new LiveStreamDoor(liveStream as never).routes
    const ofLive = [...liveRoutes(parts), ...liveStreams, outbox]
    const operators = [...about(parts), ...routes({} as never), ...ofLive, ...orders]
    const real = [...probes(parts), landing({} as never), ...loginRoutes(parts), ...streams, ...operators]
    const rows = tableRows(part('docs/reference/http-api.md', 'paths'))
    assert.deepEqual(
      rows.map(([call, role]) => [call, role]),
      real.map(({ method, path, admin, role = 'admin' }) => [`${method} ${path}`, admin ? role : '']),
    )
  })

  it('the pages and the runbook give settings the defaults that they have', async () => {
    const { settings } = await import('../../src/config/table.ts')
    const defaults = new Map<string, string>()
    for (const { env, default: value } of Object.values(settings)) if (value) defaults.set(env, String(value))
    let count = 0
    for (const path of [...PAGES, 'RUNBOOK.md']) {
      for (const [, name, value] of page(path).matchAll(/`([A-Z][A-Z0-9_]+)`\s\((\d[^)`]*)\)/g)) {
        if (!defaults.has(name!)) continue
        assert.equal(
          value!.replace(/\sdays/, 'd').replace(/[\s,]/g, ''),
          defaults.get(name!),
          `${path}: ${name} (${value})`,
        )
        count++
      }
    }
    assert.ok(count > 20, `${count}`)
  })

  it('the pages name only alerts that exist', () => {
    const alerts = new Set([...page('k8s/monitoring/alerts.yaml').matchAll(/alert: (\w+)/g)].map(([, name]) => name!))
    assert.ok(alerts.size > 20)
    for (const path of PAGES) {
      for (const [name] of page(path).matchAll(/\bWsproxy[A-Z]\w+/g))
        assert.ok(alerts.has(name), `${path} names ${name}`)
    }
  })

  it('protocol.md has a section for every door', () => {
    const doors = TREE.filter((path) => /^src\/doors\/\w+\/door\.ts$/.test(path))
    assert.ok(doors.length >= 3)
    for (const path of doors) {
      // The comment of the class names the path; a setting may move the door.
      const [, pattern = ''] = /^ \* `GET ([^`]+)`/m.exec(page(path)) ?? []
      const heading = `door: \`GET ${pattern}\``
      assert.ok(pattern !== '' && page('docs/reference/protocol.md').includes(heading), `${path}: ${heading}`)
    }
  })

  it('cli.md lists every npm script, and no page names another', () => {
    const scripts = Object.keys(JSON.parse(page('package.json')).scripts)
    const listed = tableRows(part('docs/reference/cli.md', 'scripts')).map(([command]) =>
      command!.replace(/^npm (run )?/, ''),
    )
    assert.deepEqual(listed.sort(), [...scripts].sort())
    for (const path of TREE.filter((each) => each.endsWith('.md'))) {
      for (const [, name] of page(path).matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)) {
        assert.ok(scripts.includes(name!), `${path} names npm run ${name}`)
      }
    }
  })
})

/** The text of a page without its blocks of code, in which brackets are no links. */
const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/^ {4}.*$/gm, '')

/** The anchors of the headings of a page, as GitHub makes them. */
const anchorsOf = (path: string): string[] =>
  [...page(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/ /g, '-'),
  )
