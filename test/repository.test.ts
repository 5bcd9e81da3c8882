import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { OURS } from '../bench/subjects.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** What is not ours, or is made from what is. */
const SKIPPED = new Set(['node_modules', 'dist', '.joined', '.git', 'results'])

/** All files of the tree, relative to its root, with `/`. */
function files(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : files(path)
    return entry.isFile() ? [path] : []
  })
}

interface Import {
  readonly from: string
  /** As it is written. */
  readonly specifier: string
  /** Relative to the root; undefined: a package. */
  readonly to: string | undefined
  /** Gone after compilation. */
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:([^;'"]*?)\s+from\s+)?['"]([^'"]+)['"]/gm
const DYNAMIC = /\b(?:import|require|require\.resolve\.paths)\(\s*['"]([^'"]+)['"]\s*\)/g

function importsOf(from: string): Import[] {
  const text = read(from)
  const resolve = (specifier: string) =>
    specifier.startsWith('.')
      ? relative(ROOT, join(ROOT, dirname(from), specifier))
          .split(sep)
          .join('/')
      : undefined
  const named = (clause: string) => (/\{([^}]*)\}/.exec(clause)?.[1] ?? '').split(',').filter((each) => each.trim())
  return [
    ...[...text.matchAll(STATIC)].map(([, type, clause = '', specifier]) => {
      const onlyTypes =
        named(clause).length > 0 &&
        clause.trim().startsWith('{') &&
        named(clause).every((each) => each.trim().startsWith('type '))
      return {
        from,
        specifier: specifier!,
        to: resolve(specifier!),
        typeOnly: Boolean(type) || onlyTypes,
        dynamic: false,
      }
    }),
    ...[...text.matchAll(DYNAMIC)].map(([, specifier]) => {
      return { from, specifier: specifier!, to: resolve(specifier!), typeOnly: false, dynamic: true }
    }),
  ]
}

const TREE = files()
const SOURCES = TREE.filter((path) => path.startsWith('src/') && path.endsWith('.ts'))
const CODE = TREE.filter((path) => /\.(ts|mjs)$/.test(path))
const IMPORTS = SOURCES.flatMap(importsOf)

/**
 * Each folder of `src`, and the folders that it may import beside itself. The consumer declares
 * what it needs of any other.
 */
const BASE = ['contract', 'config', 'platform', 'telemetry']
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  config: ['contract'],
  platform: ['contract'],
  telemetry: ['contract', 'config', 'platform'],
  redis: BASE,
  http: BASE,
  identity: BASE,
  connection: [...BASE, 'http'],
  login: [...BASE, 'http', 'redis', 'identity'],
  sessions: [...BASE, 'redis', 'connection'],
  doors: [...BASE, 'http', 'connection', 'sessions'],
  preflight: [...BASE, 'http', 'redis'],
  gateway: [...BASE, 'http', 'redis', 'identity', 'login', 'connection', 'sessions', 'doors', 'preflight'],
  workers: BASE,
  cli: [...BASE, 'workers', 'redis', 'login', 'doors', 'preflight', 'gateway'],
}

/** The folder of `src` in which a file is. */
const layerOf = (path: string): string => path.split('/')[1]!

describe('the imports of src', () => {
  it('are all read by this test', () => {
    assert.ok(SOURCES.length > 20)
    assert.ok(IMPORTS.some(({ from, to }) => from === 'src/gateway/core.ts' && to === 'src/redis/client.ts'))
    assert.ok(
      IMPORTS.some(({ from, to, dynamic }) => from === 'src/cli/command.ts' && to === 'src/cli/serve.ts' && dynamic),
    )
    for (const { from, to } of IMPORTS) assert.ok(to === undefined || existsSync(join(ROOT, to)), `${from} -> ${to}`)
  })

  it('point from each layer to lower layers only', () => {
    for (const path of SOURCES) assert.ok(Object.hasOwn(MAY_IMPORT, layerOf(path)), `${path} is in a known layer`)
    const wrong = IMPORTS.filter(({ from, to }) => {
      if (to === undefined || !to.startsWith('src/')) return false
      const [layer, other] = [layerOf(from), layerOf(to)]
      return layer !== other && !MAY_IMPORT[layer]!.includes(other)
    })
    assert.deepEqual(
      wrong.map(({ from, to }) => `${from} imports ${to}`),
      [],
    )
  })

  it('lead out of src to packages only, and from the command line to the client library', () => {
    const isClient = (from: string, to: string) => from.startsWith('src/cli/') && to.startsWith('client/src/')
    const outside = IMPORTS.filter(({ from, to }) => to && !to.startsWith('src/') && !isClient(from, to))
    assert.deepEqual(
      outside.map(({ from, to }) => `${from} imports ${to}`),
      [],
    )
  })

  it('form no cycle, type-only imports included, except that a socket and its topics know each other', () => {
    const next = new Map(SOURCES.map((path) => [path, [] as string[]]))
    for (const { from, to } of IMPORTS) if (to !== undefined) next.get(from)!.push(to)
    const [socket, topic] = ['src/connection/connection.ts', 'src/connection/bind.ts']
    const back = next.get(topic)!.indexOf(socket)
    assert.ok(back >= 0 && next.get(socket)!.includes(topic), 'the exception is needed')
    next.get(topic)!.splice(back, 1)
    const done = new Set<string>()
    const visit = (path: string, way: string[]): void => {
      assert.ok(!way.includes(path), `a cycle: ${[...way, path].join(' -> ')}`)
      if (done.has(path)) return
      for (const each of next.get(path) ?? []) visit(each, [...way, path])
      done.add(path)
    }
    for (const path of SOURCES) visit(path, [])
  })

  it('ask for their own place only where the joined gateway has another one, which tools/bundle.mjs knows', () => {
    const places = SOURCES.filter((path) => read(path).includes('import.meta'))
    assert.deepEqual(places, ['src/contract/root.ts', 'src/platform/uws.ts', 'src/telemetry/prometheus.ts'])
  })

  it('name run-time dependencies only, and every one of them', () => {
    const { dependencies: needed, peerDependencies } = JSON.parse(read('package.json'))
    const dependencies = { ...needed, ...peerDependencies }
    const used = new Map(
      IMPORTS.filter(
        ({ to, typeOnly, specifier }) => to === undefined && !typeOnly && !specifier.startsWith('node:'),
      ).map(({ specifier, from }) => [/^(@[^/]+\/)?[^/]+/.exec(specifier)![0], from]),
    )
    for (const [name, from] of used) assert.ok(Object.hasOwn(dependencies, name), `${from} needs ${name} at run time`)
    assert.deepEqual(Object.keys(dependencies).sort(), [...used.keys()].sort())
  })
})

describe('the files of src', () => {
  it('each declare something, and are no barrels', () => {
    for (const path of SOURCES) {
      const own = read(path)
        .replace(/\/\*[\s\S]*?\*\//g, '')
        .replace(/\/\/.*$/gm, '')
        .replace(STATIC, '')
        .trim()
      assert.notEqual(own, '', path)
    }
  })

  it('read process.env in src/config/env.ts alone', () => {
    const readers = SOURCES.filter((path) =>
      /process\s*(\.\s*env\b|\[\s*['"]env)|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/.test(read(path)),
    )
    // uws.ts sets a variable that the native module reads when it is loaded.
    assert.deepEqual(readers, ['src/config/env.ts', 'src/platform/uws.ts'])
    assert.deepEqual(read('src/platform/uws.ts').match(/process\.env.*/g), [
      "process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= '16384'",
    ])
  })

  it('write each field of a connection in one place: its class, or the stage that owns the field', () => {
    const fields = [...read('src/connection/connection.ts').matchAll(/^ {2}(?!readonly)(\w+)(?:!?:| =)/gm)]
    assert.ok(fields.length > 20)
    const assigned = '( =(?!=)| [-+]=|\\+\\+|--)'
    for (const [, field] of fields) {
      const writers = SOURCES.filter((path) => {
        const holder = path === 'src/connection/connection.ts' ? 'this' : '(connection|member|socket|each)!?'
        return new RegExp(`\\b${holder}\\.${field}${assigned}`).test(read(path))
      })
      assert.ok(writers.length <= 1, `${field} is written in ${writers.join(' and ')}`)
    }
  })

  it('have at most 300 lines, unless they are generated', () => {
    for (const path of SOURCES.filter((each) => !each.endsWith('.gen.ts'))) {
      const lines = read(path).trimEnd().split('\n').length
      assert.ok(lines <= 300, `${path} has ${lines}`)
    }
  })

  it('have meaningful names, and so have their classes', () => {
    const EMPTY = /utils?|helpers?|managers?|handlers?|common|misc|info|data/i
    for (const path of CODE) {
      const names = path.replace(/\.(test\.)?(ts|mjs)$/, '').split('/')
      for (const name of names) assert.doesNotMatch(name, new RegExp(`^(${EMPTY.source})$`, 'i'), path)
      if (!path.startsWith('src/')) continue
      for (const [, name] of read(path).matchAll(/\b(?:class|interface|type) ([A-Z]\w*)/g)) {
        assert.doesNotMatch(name!, /(Utils?|Helper|Manager|Handler|Data|Info)$/, path)
      }
    }
  })

  it('export no two types of one name, except that clients call the name of a topic a topic', () => {
    const files = new Map<string, Set<string>>()
    for (const path of SOURCES) {
      for (const [, name] of read(path).matchAll(/^export (?:abstract )?(?:class|interface|type|enum) (\w+)/gm))
        files.set(name!, (files.get(name!) ?? new Set()).add(path))
    }
    assert.ok(files.size > 150, `${files.size} types`)
    const twice = [...files].filter(([, paths]) => paths.size > 1).map(([name, paths]) => [name, ...paths])
    assert.deepEqual(twice, [['Topic', 'src/connection/bind.ts', 'src/contract/live/types.gen.ts']])
  })

  it('build no Redis name outside the contract', () => {
    for (const path of SOURCES.filter((each) => !each.startsWith('src/contract/'))) {
      const text = read(path).replace(/\/\*[\s\S]*?\*\//g, '')
      assert.doesNotMatch(text, /`session:\$|'session:'|`run:\$|'run:'/, `${path} builds a name of Redis`)
    }
  })
})

describe('the tests', () => {
  it('start servers for a scope, so that each stops with its test or suite', () => {
    const starts = /\b(start(Gateway|BareGateway|Redis|RealRedis|Balancer|Cluster|Sentinels)|(Tcp|Fault)Proxy\.to)\(/
    for (const path of TREE.filter((each) => /^test\/.*\.test\.ts$/.test(each) && each !== 'test/repository.test.ts'))
      assert.doesNotMatch(read(path), starts, `${path} starts a server without a scope`)
  })
})

describe('the tree', () => {
  const TEXTS = TREE.filter((path) => !/\.(png|gif|ico|gz|woff2?)$/.test(path))

  it('names no path of a machine on which it was made', () => {
    // Written so that this file does not contain what it looks for.
    const home = new RegExp(`(^|[\\s"'\`(=:])/(${['home', 'Users', 'root'].join('|')})/[\\w.-]`, 'm')
    const own = [ROOT.replace(/[/\\]$/, ''), homedir()].filter((path) => path.split(/[/\\]/).filter(Boolean).length > 1)
    for (const path of TEXTS) {
      const text = read(path)
      assert.doesNotMatch(text, home, path)
      for (const place of own) assert.ok(!text.includes(place), `${path} names ${place}`)
    }
  })

  it('names no host of a package registry', () => {
    const host = /(https?:)?\/\/(registry\.|npm\.|[\w.-]*(artifactory|nexus|verdaccio))[\w.-]*/i
    for (const path of TEXTS) assert.doesNotMatch(read(path), host, path)
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, object> }
    const resolved = Object.entries(lock.packages).filter(([, each]) => 'resolved' in each)
    assert.deepEqual(resolved, [])
  })

  it('locks the versions of package.json, with a checksum for each package', () => {
    const wanted = JSON.parse(read('package.json'))
    const lock = JSON.parse(read('package-lock.json'))
    const { '': own, ...packages } = lock.packages
    assert.equal(own.version, wanted.version)
    assert.deepEqual(own.dependencies, wanted.dependencies)
    assert.deepEqual(own.devDependencies, wanted.devDependencies)
    assert.deepEqual(own.peerDependencies, wanted.peerDependencies)
    for (const [name, each] of Object.entries(packages)) {
      assert.match((each as { integrity?: string }).integrity ?? '', /^sha512-/, name)
    }
  })

  it('locks the native binaries of all platforms, without which npm ci fails', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Record<string, object>> }
    for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
      for (const name of Object.keys(optionalDependencies))
        assert.ok(`${path}/node_modules/${name}` in packages || `node_modules/${name}` in packages, `${path}: ${name}`)
    }
  })

  it('has each optional peer as a devDependency, so that its tests run, and says that it is optional', () => {
    const { peerDependencies, peerDependenciesMeta, devDependencies, dependencies } = JSON.parse(read('package.json'))
    assert.deepEqual(Object.keys(peerDependenciesMeta), Object.keys(peerDependencies))
    for (const name of Object.keys(peerDependencies)) {
      assert.deepEqual(peerDependenciesMeta[name], { optional: true })
      assert.ok(name in devDependencies && !(name in dependencies), name)
    }
  })

  it('takes uWebSockets.js by an alias of the registry, and every package at one version', () => {
    const { dependencies, devDependencies, engines, type, bin } = JSON.parse(read('package.json'))
    assert.match(dependencies['uWebSockets.js'], /^npm:uws-pack@\d+\.\d+\.\d+$/)
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(String(version), /^(npm:[\w-]+@)?\d+\.\d+\.\d+$/, name)
    }
    assert.equal(engines.node, '>=20.14 <23')
    assert.equal(type, 'module')
    assert.deepEqual(bin, { wsproxy: 'bin/wsproxy.cjs' })
    const [, flags = ''] = /^#!\/usr\/bin\/env -S node (.+)\n/.exec(read('bin/wsproxy.cjs')) ?? []
    assert.match(flags, /^--/)
    assert.ok(
      read('scripts/run.mjs').includes(`const GATEWAY_FLAGS = ['${flags}']`),
      'npm start runs it with the same flags',
    )
    assert.ok(read('Dockerfile').includes(`ENTRYPOINT ["/nodejs/bin/node", "${flags}", `), 'and so does the image')
    assert.deepEqual(OURS.flags, [flags], 'and the bench')
  })

  it('has scripts that import no package, so that Node alone builds and starts it', () => {
    for (const path of TREE.filter((each) => each.startsWith('scripts/'))) {
      for (const [, specifier] of read(path).matchAll(/^import .* from ['"]([^'"]+)['"]/gm)) {
        assert.match(specifier!, /^(node:|\.)/, path)
      }
    }
  })
})
