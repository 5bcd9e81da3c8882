import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SCRIPT = join(ROOT, 'scripts/pin-images.mjs')
const DIGEST = (digit: string) => `sha256:${digit.repeat(64)}`

/** What `docker buildx imagetools inspect` answers: the index with its digest, or an error. */
const DOCKER = `#!/usr/bin/env node
const [, , command, tools, inspect, image, flag, format] = process.argv
if ([command, tools, inspect, flag, format].join(' ') !== 'buildx imagetools inspect --format {{json .Manifest}}') process.exit(9)
if (image.startsWith('gone/')) { console.error('not found'); process.exit(1) }
const digest = 'sha256:' + (image.startsWith('odd/') ? 'x' : image.startsWith('node:') ? 'a'.repeat(64) : 'b'.repeat(64))
console.log(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 1 }))
`

describe('pin-images', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-pin-'))
    file = join(folder, 'Dockerfile')
    writeFileSync(join(folder, 'docker'), DOCKER)
    chmodSync(join(folder, 'docker'), 0o755)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const pin = (...args: string[]) =>
    spawnSync(process.execPath, [SCRIPT, file, ...args], {
      encoding: 'utf8',
      env: { PATH: `${folder}${delimiter}${process.env.PATH}` },
    })

  it('finds a digest at every base image of this Dockerfile', () => {
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--check', join(ROOT, 'Dockerfile')], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
  })

  it('adds the digest of every base image of the Dockerfile, and changes no other line', () => {
    const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replaceAll(/@sha256:[0-9a-f]{64}/g, '')
    writeFileSync(file, text)
    assert.equal(pin('--check').status, 1)
    const { status, stderr } = pin()
    assert.equal(status, 0, stderr)
    const lines = text.split('\n')
    const after = readFileSync(file, 'utf8').split('\n')
    const changed = after.filter((line, i) => line !== lines[i])
    assert.deepEqual(changed, [
      `FROM --platform=$BUILDPLATFORM node:22-bookworm-slim@${DIGEST('a')} AS compiled`,
      `FROM node:22-bookworm-slim@${DIGEST('a')} AS packages`,
      `FROM gcr.io/distroless/nodejs22-debian12:nonroot@${DIGEST('b')} AS code`,
      `FROM gcr.io/distroless/nodejs22-debian12:nonroot@${DIGEST('b')}`,
    ])
    assert.equal(pin('--check').status, 0)
  })

  it('replaces an older digest, and leaves a stage of the file as it is', () => {
    writeFileSync(file, `FROM node:22@${DIGEST('0')} AS base\nFROM base\nFROM base AS other\n`)
    assert.equal(pin().status, 0)
    assert.equal(readFileSync(file, 'utf8'), `FROM node:22@${DIGEST('a')} AS base\nFROM base\nFROM base AS other\n`)
  })

  it('changes nothing when the registry does not answer with a digest', () => {
    for (const image of ['gone/image:1', 'odd/image:1']) {
      const text = `FROM node:22\nFROM ${image}\n`
      writeFileSync(file, text)
      const { status, stderr } = pin()
      assert.equal(status, 1)
      assert.match(stderr, image.startsWith('gone') ? /not found/ : /odd\/image:1: the registry gave the digest/)
      assert.equal(readFileSync(file, 'utf8'), text)
    }
  })
})
