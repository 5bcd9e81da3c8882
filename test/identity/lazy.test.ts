import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'

const GATEWAY = new URL('../../src/gateway/gateway.js', import.meta.url)
const JWTS = new URL('../../src/gateway/jwts.js', import.meta.url)
const LOGIN = new URL('../../src/gateway/login.js', import.meta.url)
const LOAD = new URL('../../src/config/load.js', import.meta.url)

const SECRET = randomBytes(24).toString('hex')

/** Loads what a gateway loads with these settings, and prints which libraries are among it. */
const PROGRAM = `
import { createRequire } from 'node:module'
import ${JSON.stringify(GATEWAY.href)}
import { loadJwts } from ${JSON.stringify(JWTS.href)}
import { loadLogin } from ${JSON.stringify(LOGIN.href)}
import { loadConfig } from ${JSON.stringify(LOAD.href)}
const log = { info() {}, warn() {}, error() {} }
const { config } = loadConfig()
const jwts = await loadJwts(config, log)
const login = await loadLogin(config, log)
jwts?.stop()
const files = Object.keys(createRequire(import.meta.url).cache)
const has = (name) => files.some((file) => file.includes('/' + name + '/'))
// Passwords are hashed in a thread of its own; a native library is loaded for all threads.
const natives = process.report.getReport().sharedObjects
console.log(has('fast-jwt'), jwts !== undefined, natives.some((file) => file.includes('argon2')), login !== undefined)
`

function loaded(env: Record<string, string>): string {
  const options = { env: { PATH: process.env.PATH ?? '', ...env }, encoding: 'utf8', timeout: 30_000 } as const
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', PROGRAM], options)
  assert.equal(stderr, '')
  return stdout.trim()
}

describe('a gateway without settings of JWTs', () => {
  it('does not load the library that verifies them', () => {
    assert.equal(loaded({}), 'false false false false')
    assert.equal(loaded({ AUTH_JWT_SECRET: SECRET }), 'true true false false')
    assert.equal(loaded({ AUTH_JWKS_URL: 'http://127.0.0.1:1/jwks.json' }), 'true true false false')
  })
})

describe('a gateway without AUTH_LOGIN', () => {
  it('does not load the library that hashes passwords', () => {
    assert.equal(loaded({ AUTH_JWT_SECRET: SECRET, AUTH_LOGIN: 'false' }), 'true true false false')
    assert.equal(loaded({ AUTH_JWT_SECRET: SECRET, AUTH_LOGIN: 'true' }), 'true true true true')
  })
})
