/** Builds the package: modules with types, and one minified file for a script tag. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const { status } = spawnSync(`${here}../node_modules/.bin/tsc`, ['--project', here], { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)
// The module for networks without WebSockets stays a file of its own, which few pages load.
await build({
  entryPoints: [`${here}dist/index.js`],
  external: ['./sse.js'],
  outfile: `${here}dist/wsproxy-client.min.js`,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
})
