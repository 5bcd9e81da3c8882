#!/usr/bin/env node
/**
 * Writes the digest of each base image into the Dockerfile:
 * `node scripts/pin-images.mjs [Dockerfile]`. A tag may name another image tomorrow, a digest
 * never. It asks the registry through `docker buildx imagetools`, which needs no Docker engine, and
 * takes the digest of the index, so that the image still builds for every platform. `--check`
 * writes nothing and exits with 1 where a digest is missing.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: 'boolean' } } })
const [file = 'Dockerfile'] = positionals
const FROM = /^(FROM (?:--platform=\S+ )?)([^\s@]+)(@sha256:[0-9a-f]{64})?(?=\s|$)/gm

/** The digest that the registry has for this name and tag now. @throws without a valid answer. */
function digestOf(image) {
  const args = ['buildx', 'imagetools', 'inspect', image, '--format', '{{json .Manifest}}']
  const { digest } = JSON.parse(
    execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${image}: the registry gave the digest ${digest}`)
  return digest
}

const text = readFileSync(file, 'utf8')
// A stage of this file has a name and no digest.
const stages = new Set(Array.from(text.matchAll(/^FROM .* AS (\S+)$/gm), ([, name]) => name))
const bases = [...text.matchAll(FROM)].filter(([, , image]) => !stages.has(image))
if (values.check) {
  const open = bases.filter(([, , , digest]) => digest === undefined).map(([, , image]) => image)
  if (open.length > 0) {
    console.error(`${file} names images without a digest: ${open.join(', ')}; "node scripts/pin-images.mjs" adds them`)
    process.exit(1)
  }
} else {
  const digests = new Map(bases.map(([, , image]) => [image, undefined]))
  for (const image of digests.keys()) digests.set(image, digestOf(image))
  const pinned = (line, from, image) => (digests.has(image) ? `${from}${image}@${digests.get(image)}` : line)
  writeFileSync(file, text.replace(FROM, pinned))
  for (const [image, digest] of digests) console.log(`${image}@${digest}`)
}
