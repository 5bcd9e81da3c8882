#!/usr/bin/env node
/**
 * Joins the compiled gateway and the packages that it uses into one file, in place: a process opens
 * that file at its start and not 200. What stays outside: native modules, the embedded Redis, and
 * the optional packages for traces and reports.
 *
 *   node tools/bundle.mjs [dist]
 *
 * dist/wsproxy.bundle is read by dist/load.cjs, dist/redis.cjs is the client of Redis that only
 * commands use, and dist/THIRD-PARTY.txt has the licences of the packages in both.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { lazyModules } from './lazy.mjs'
import { licencesOf } from './licences.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = process.argv[2] ?? join(root, 'dist')
const src = join(dist, 'src')

const OUTSIDE = ['@node-rs/argon2', 'js-redis-server', '@opentelemetry/*', '@sentry/node']

const common = {
  bundle: true,
  write: false,
  metafile: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  logLevel: 'warning',
  absWorkingDir: root,
}

/**
 * The client of Redis is a file of its own, and `require` of a module finds what is joined:
 * esbuild looks only for the `require` of CommonJS.
 */
const plugin = {
  name: 'wsproxy',
  setup(builder) {
    builder.onResolve({ filter: /^redis$/ }, () => ({ path: './redis.cjs', external: true }))
    builder.onLoad({ filter: /telemetry[\\/]prometheus\.js$/ }, ({ path }) => {
      const [before, after, ...more] = readFileSync(path, 'utf8').split(
        'const require = createRequire(import.meta.url);',
      )
      if (after === undefined || more.length > 0) throw new Error(`${path} makes no require of its own`)
      return { contents: before + after }
    })
  },
}

/** The file of a thread: it stays as it is, since it imports nothing of the gateway. */
const THREAD = join('login', 'hash-thread.js')

/** The names of the arguments with which dist/load.cjs calls the file. */
const ARGUMENTS = 'exports, require, module, __filename, __dirname, __import'

/**
 * What esbuild makes of a module: a function that runs it once. When the module throws, the next
 * import of it gets an empty module; in Node it throws again, and the native binary relies on that.
 */
const INIT = `(fn, res) => function() {
  return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
}`
const RETHROWING_INIT = `(fn, res, thrown) => function() {
  if (thrown) throw thrown.error;
  try {
    return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
  } catch (error) {
    thrown = { error };
    throw error;
  }
}`

const main = await build({
  ...common,
  stdin: {
    contents: `
      export const main = () => import('./cli/main.js')
      export const createGateway = async (options) => (await import('./gateway/create.js')).createGateway(options)`,
    resolveDir: src,
  },
  external: OUTSIDE,
  plugins: [plugin, lazyModules],
  // All files of the package are found from the place of this module (src/contract/root.ts).
  banner: { js: "const __url = require('node:url').pathToFileURL(__dirname + '/src/contract/root.js').href;" },
  define: { 'import.meta.url': '__url' },
})
const redis = await build({
  ...common,
  minify: true,
  stdin: { contents: "module.exports = require('redis')", resolveDir: root },
})

const text = main.outputFiles[0].text
if (!text.includes(INIT)) throw new Error('esbuild starts its modules in another way (INIT)')
// A script from V8's code cache has no import() of its own, so it gets that of dist/load.cjs.
const code = text.replace(INIT, RETHROWING_INIT).replace(/\bimport\(/g, '__import(')
for (const file of readdirSync(src, { recursive: true }))
  if (/\.js(\.map)?$/.test(file) && file !== THREAD) rmSync(join(src, file))
writeFileSync(join(dist, 'wsproxy.bundle'), `(function (${ARGUMENTS}) {${code}})`)
writeFileSync(join(dist, 'redis.cjs'), redis.outputFiles[0].text)
writeFileSync(join(dist, 'THIRD-PARTY.txt'), licencesOf([main.metafile, redis.metafile], root))
cpSync(join(root, 'tools/load.cjs'), join(dist, 'load.cjs'))

// The paths that operators and programs know. Those of commands are CommonJS: Node then starts
// without its loader of ES modules.
writeFileSync(join(src, 'cli/package.json'), '{ "type": "commonjs" }\n')
writeFileSync(join(src, 'cli/main.js'), "require('../../load.cjs').main()\n")
writeFileSync(
  join(src, 'gateway/create.js'),
  "import bundle from '../../load.cjs'\nexport const createGateway = bundle.createGateway\n",
)
// The next build of a work tree compiles all of it again.
if (existsSync(join(dist, '.built'))) rmSync(join(dist, '.built'))
