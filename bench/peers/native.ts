/**
 * The peers in Go and Rust, whose sources are beside this file. They take part when they are named
 * or compared, and when their toolchain is installed: the bench builds them before its first round,
 * with the versions of their lock files.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Impossible } from '../scenario.ts'
import { onPath, versionOf } from '../stage/installed.ts'
import type { Subject } from '../subject.ts'

const BENCH = fileURLToPath(new URL('../../../bench/', import.meta.url))
const BUILT = join(BENCH, 'results/peers')
const BUILD_MS = 900_000
const TAIL_CHARACTERS = 400

interface Toolchain {
  name: string
  command: string
  build: string[]
  /** The built program, in the folder of results. */
  program: string
  /** The file that pins its libraries, and their names in it. */
  lock: string
  libraries: RegExp
}

const GO_CHAIN: Toolchain = {
  name: 'go',
  command: 'go',
  build: ['build', '-o', join(BUILT, 'go-gateway'), '.'],
  program: 'go-gateway',
  lock: 'go.mod',
  libraries: /(gorilla\/websocket|go-redis\/v9) v(\S+)/g,
}

const RUST_CHAIN: Toolchain = {
  name: 'rust',
  command: 'cargo',
  build: ['build', '--release', '--locked', '--quiet', '--target-dir', join(BUILT, 'rust')],
  program: 'rust/release/rust-gateway',
  lock: 'Cargo.lock',
  libraries: /name = "(axum|redis|tokio|tokio-tungstenite)"\nversion = "(.+)"/g,
}

/** Throws `Impossible` with the last words of the toolchain. */
function build({ name, command, build }: Toolchain): void {
  process.stderr.write(`${name}: ${command} ${build[0]} (the first time takes minutes)\n`)
  const cwd = join(BENCH, 'peers', name)
  const { status, stderr, error } = spawnSync(command, build, { cwd, encoding: 'utf8', timeout: BUILD_MS })
  if (status !== 0) throw new Impossible(`${command} ${build[0]}: ${tail(stderr) || error?.message || 'no word'}`)
}

const tail = (text: string | undefined) => (text ?? '').trim().slice(-TAIL_CHARACTERS)

function versions({ name, command, lock, libraries }: Toolchain): string {
  const text = readFileSync(join(BENCH, 'peers', name, lock), 'utf8')
  const its = [...text.matchAll(libraries)].map(([, library, version]) => `${library} ${version}`)
  return [`${command} ${versionOf(command, command === 'go' ? 'version' : '--version')}`, ...its].join(' + ')
}

const native = (chain: Toolchain): Subject => ({
  name: chain.name,
  program: () => ({ command: join(BUILT, chain.program), args: [], files: {} }),
  env: {},
  ready: 'port',
  onRequest: true,
  missing: () => (onPath(chain.command) ? undefined : `${chain.command} is not on the PATH`),
  build: () => build(chain),
  version: () => versions(chain),
})

export const GO: Subject = native(GO_CHAIN)
export const RUST: Subject = native(RUST_CHAIN)
