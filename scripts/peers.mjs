#!/usr/bin/env node
/**
 * Moves optional peers from devDependencies to dependencies in the package.json of this folder, so
 * that an install without devDependencies has them. For images; plain Node, no packages.
 *
 *   node scripts/peers.mjs [name or @scope/ ...]
 */
import { readFileSync, writeFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
for (const wanted of process.argv.slice(2)) {
  const names = Object.keys(manifest.peerDependencies).filter(
    (name) => name === wanted || (wanted.endsWith('/') && name.startsWith(wanted)),
  )
  if (names.length === 0) {
    console.error(`${wanted} is no optional peer. These are: ${Object.keys(manifest.peerDependencies).join(', ')}`)
    process.exit(2)
  }
  for (const name of names) {
    manifest.dependencies[name] = manifest.devDependencies[name]
    delete manifest.devDependencies[name]
  }
}
writeFileSync('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
