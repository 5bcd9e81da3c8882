/** Loads modules of Node at their first use in the joined gateway. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** Most starts need none of them, and they take a tenth of its CPU. */
const RARE = /^(node:)?(assert|fs\/promises|https|tls|zlib)$/

/** A plugin of esbuild: the rare modules become objects whose members load the module. */
export const lazyModules = {
  name: 'lazy modules',
  setup(builder) {
    builder.onResolve({ filter: RARE }, ({ path, namespace }) => {
      const name = path.replace(/^node:/, '')
      return namespace === 'lazy' ? { path: `node:${name}`, external: true } : { path: name, namespace: 'lazy' }
    })
    builder.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => ({ contents: standIn(path) }))
  },
}

/** `assert` is a function, so the stand-in of each module is one. */
const standIn = (name) => `
  let loaded
  const load = () => (loaded ??= require('node:${name}'))
  const lazy = (...args) => load()(...args)
  for (const member of ${JSON.stringify(Object.keys(require(`node:${name}`)))})
    Object.defineProperty(lazy, member, { enumerable: true, get: () => load()[member] })
  module.exports = lazy`
