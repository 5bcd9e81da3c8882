#!/usr/bin/env node
/**
 * Removes from a folder of installed packages what a gateway in production never reads: packages
 * that are a part of the joined gateway (tools/bundle.mjs), native binaries for other platforms and
 * other versions of Node, the embedded Redis, source maps, types and pages. What is left runs on
 * the Node that runs this script.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const [folder] = process.argv.slice(2)
if (folder === undefined || !existsSync(folder)) {
  console.error('usage: node scripts/trim.mjs <node_modules>')
  process.exit(2)
}

/** Native modules, which cannot be joined. The peers that package.json asks for stay as well. */
const NATIVE = ['uWebSockets.js', '@node-rs/argon2']

const manifestOf = (path) => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))

/** The native modules, the peers, and their dependencies, recursively. */
function neededPackages() {
  const { dependencies, peerDependencies } = manifestOf(join(folder, '..'))
  const found = new Set()
  const visit = (names) => {
    for (const name of names) {
      if (found.has(name) || !existsSync(join(folder, name))) continue
      found.add(name)
      const {
        dependencies: needed = {},
        optionalDependencies = {},
        peerDependencies: peers = {},
      } = manifestOf(join(folder, name))
      visit(Object.keys({ ...needed, ...optionalDependencies, ...peers }))
    }
  }
  visit(Object.keys(dependencies).filter((name) => NATIVE.includes(name) || Object.hasOwn(peerDependencies, name)))
  return found
}

/** The names of the installed packages, with their scopes. */
const installed = readdirSync(folder)
  .filter((name) => !name.startsWith('.'))
  .flatMap((name) => (name.startsWith('@') ? readdirSync(join(folder, name)).map((each) => `${name}/${each}`) : [name]))

const needed = neededPackages()
for (const name of installed) if (!needed.has(name)) rmSync(join(folder, name), { recursive: true })
for (const name of readdirSync(folder).filter((each) => each.startsWith('@')))
  if (readdirSync(join(folder, name)).length === 0) rmSync(join(folder, name), { recursive: true })

const { platform, arch, versions } = process
const binaries = join(folder, 'uWebSockets.js/dist/bin')
const binary = `uws_${platform}_${arch}_${versions.modules}.node`
if (!existsSync(join(binaries, binary))) {
  console.error(`uWebSockets.js has no ${binary}: it has ${readdirSync(binaries).join(', ')}`)
  process.exit(1)
}
for (const name of readdirSync(binaries)) if (name !== binary) rmSync(join(binaries, name))

/**
 * Folders at the top of a package; for @opentelemetry also duplicates for bundlers and browsers.
 */
const UNREAD = [
  'test',
  'tests',
  '__tests__',
  'docs',
  'bench',
  'benchmarks',
  'examples',
  '.github',
  'build/esm',
  'build/esnext',
]
const UNREAD_FILES = /\.map$|\.[cm]?ts$|\.tsbuildinfo$|^\.|^(readme|changelog|contributing|security|history)\b/i
/** The larger half of @opentelemetry/semantic-conventions: names that no released package uses. */
const INCUBATING = /^(experimental_(attributes|events|metrics)|index-incubating)\.[cm]js$/

let removed = 0
function remove(path) {
  if (!existsSync(path)) return
  rmSync(path, { recursive: true })
  removed++
}

function trimPackage(at) {
  for (const name of UNREAD) remove(join(at, name))
  for (const entry of readdirSync(at, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && (UNREAD_FILES.test(entry.name) || INCUBATING.test(entry.name)))
      remove(join(entry.parentPath ?? entry.path, entry.name))
  }
}

for (const name of readdirSync(folder)) {
  if (name.startsWith('.')) remove(join(folder, name))
  else trimPackage(join(folder, name))
}
console.error(`kept ${binary}; removed ${removed} unused folders and files`)
