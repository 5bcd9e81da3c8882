#!/usr/bin/env node
/**
 * Builds the image of the Dockerfile without a Docker engine: each stage is a folder, COPY copies
 * (the files that .dockerignore lets through), RUN runs. It reads both files, so it cannot drift
 * from them. Plain Node, no packages.
 *
 *   node scripts/image.mjs [--npm] [folder]
 *
 * Prints one JSON object: how to start the image, and its compressed size. With --npm it installs
 * the packages as the Dockerfile does; without it "npm ci" copies them from node_modules.
 * Exit status 1: the image exceeds its limit.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (name) => readFileSync(join(root, name), 'utf8')

/** The executable of the distroless image. */
const IMAGE_NODE = '/nodejs/bin/node'

const LIMIT_BYTES = 60_000_000
/**
 * The size of the layers below our files, for linux/amd64. Node: its executable, version 22.23.3,
 * by gzip -6. Base: the Debian 12 packages of the image (libc6, libssl3, libgcc-s1, libgomp1,
 * libstdc++6, base-files, netbase, tzdata, ca-certificates) have 6.1 MB as .deb files, which use
 * xz; gzip takes a third more.
 */
const NODE_BYTES = 43_963_781
const BASE_BYTES = 8_200_000

/** The instructions of a Dockerfile, with joined lines and without comments. */
function instructions(text) {
  return text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => /^(\w+)\s+(.*)$/.exec(line))
    .map(([, name, rest]) => ({ name: name.toUpperCase(), rest }))
}

/**
 * Returns whether .dockerignore lets a path into the context: the last matching line decides, and a
 * folder stands for all of its content.
 */
function ignoreRule(text) {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ keep: line.startsWith('!'), pattern: line.replace(/^!/, '') }))
  const matches = (pattern, path) => pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)
  return (path) => rules.filter(({ pattern }) => matches(pattern, path)).at(-1)?.keep ?? true
}

function* filesOf(folder, prefix = '') {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (['node_modules', '.git', 'dist'].includes(path)) continue
    if (entry.isDirectory()) yield* filesOf(folder, path)
    else if (entry.isFile()) yield path
  }
}

function makeContext(to) {
  const kept = ignoreRule(read('.dockerignore'))
  for (const path of filesOf(root)) {
    if (!kept(path)) continue
    mkdirSync(dirname(join(to, path)), { recursive: true })
    cpSync(join(root, path), join(to, path))
  }
}

/**
 * The packages of a production install: those in the package.json of `cwd` and their dependencies,
 * recursively.
 */
function productionPackages(cwd) {
  const found = new Set()
  const visit = (names) => {
    for (const name of names) {
      if (found.has(name) || !existsSync(join(root, 'node_modules', name))) continue
      found.add(name)
      const { dependencies = {}, optionalDependencies = {} } = JSON.parse(read(`node_modules/${name}/package.json`))
      visit(Object.keys({ ...dependencies, ...optionalDependencies }))
    }
  }
  visit(Object.keys(JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8')).dependencies))
  return found
}

/** Does "npm ci" with the packages that are already installed here. */
function installFromHere(cwd, args) {
  const here = join(root, 'node_modules')
  const target = join(cwd, 'node_modules')
  if (!args.includes('--omit=dev')) return symlinkSync(here, target)
  for (const name of productionPackages(cwd)) {
    cpSync(join(here, name), join(target, name), { recursive: true, dereference: true })
  }
}

function run(command, cwd, env, withNpm) {
  const [program, ...args] = command.split(' ')
  if (program === 'npm' && args[0] === 'ci' && !withNpm) return installFromHere(cwd, args)
  // A command in JSON runs without a shell, which a distroless image does not have.
  const [file, ...rest] = command.startsWith('[') ? JSON.parse(command) : ['sh', '-c', command]
  const { status, stdout, stderr } = spawnSync(file === IMAGE_NODE ? process.execPath : file, rest, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`RUN ${command}: status ${status}\n${stdout}${stderr}`)
}

const words = (text) => text.match(/(?:[^\s"]|"[^"]*")+/g).map((each) => each.replaceAll('"', ''))
const pairs = (text) =>
  Object.fromEntries(words(text).map((each) => [each.split('=')[0], each.slice(each.indexOf('=') + 1)]))

function copy(stage, stages, context, rest) {
  const parts = words(rest)
  const from = /^--from=(.*)$/.exec(parts[0])?.[1]
  const sources = parts.slice(from === undefined ? 0 : 1, -1)
  const target = parts.at(-1)
  // An absolute path is one of the image.
  const to = target.startsWith('/') ? join(stage.folder, target) : resolve(join(stage.folder, stage.workdir), target)
  for (const source of sources) {
    const origin = from === undefined ? join(context, source) : join(stages.get(from).folder, source)
    const into = target.endsWith('/') && statSync(origin).isFile() ? join(to, basename(source)) : to
    cpSync(origin, into, { recursive: true })
  }
}

/** Runs all stages below `folder`. @returns the last stage, with how to run the image. */
function assemble(folder, withNpm) {
  const context = join(folder, 'context')
  makeContext(context)
  const stages = new Map()
  let stage
  const act = {
    FROM: (rest) => {
      const [, image, name = 'image'] = /^(?:--platform=\S+ )?(\S+)(?: AS (\S+))?$/.exec(rest)
      stage = { folder: join(folder, name), base: image, workdir: '/', env: {}, args: {}, labels: {}, ports: [] }
      stages.set(name, stage)
    },
    WORKDIR: (rest) => {
      stage.workdir = rest
      mkdirSync(join(stage.folder, rest), { recursive: true })
    },
    COPY: (rest) => copy(stage, stages, context, rest),
    RUN: (rest) => run(rest, join(stage.folder, stage.workdir), { ...stage.env, ...stage.args }, withNpm),
    ARG: (rest) => Object.assign(stage.args, pairs(rest)),
    ENV: (rest) => Object.assign(stage.env, pairs(rest)),
    LABEL: (rest) => Object.assign(stage.labels, pairs(rest)),
    USER: (rest) => (stage.user = rest),
    EXPOSE: (rest) => stage.ports.push(Number(rest)),
    STOPSIGNAL: (rest) => (stage.stopSignal = rest),
    HEALTHCHECK: (rest) => (stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('CMD ') + 4))),
    ENTRYPOINT: (rest) => (stage.entrypoint = JSON.parse(rest)),
    CMD: (rest) => (stage.command = JSON.parse(rest)),
  }
  for (const { name, rest } of instructions(read('Dockerfile'))) {
    if (act[name] === undefined) throw new Error(`the Dockerfile has ${name}, which this script does not support`)
    act[name](rest)
  }
  return stage
}

/** The compressed size of a layer: each file as blocks of 512 bytes after a header of 512 bytes. */
function compressedBytes(folder) {
  const blocks = []
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const header = Buffer.alloc(512)
    header.write(`${path.slice(folder.length).slice(-99)}\0 ${statSync(path).size.toString(8)}`)
    const content = readFileSync(path)
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512))
  }
  return gzipSync(Buffer.concat(blocks), { level: 6 }).length
}

const args = process.argv.slice(2)
const withNpm = args.includes('--npm')
const given = args.find((each) => !each.startsWith('--'))
const folder = given === undefined ? mkdtempSync(join(tmpdir(), 'wsproxy-image-')) : resolve(given)
try {
  const image = assemble(folder, withNpm)
  const ownBytes = compressedBytes(image.folder)
  const bytes = {
    node: NODE_BYTES,
    base: BASE_BYTES,
    own: ownBytes,
    total: NODE_BYTES + BASE_BYTES + ownBytes,
    limit: LIMIT_BYTES,
  }
  console.log(JSON.stringify({ ...image, bytes }, null, 2))
  if (bytes.total > LIMIT_BYTES) process.exitCode = 1
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true })
}
