#!/usr/bin/env node
/**
 * Prepares a release: `npm run release -- 0.2.0`. Sets the version in package.json and the
 * lockfile, dates the first section of CHANGELOG.md, commits and tags. It pushes and publishes
 * nothing. Plain Node, no packages.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const fail = (message) => {
  console.error(`release: ${message}`)
  process.exit(2)
}

function git(...args) {
  const { status, stdout, stderr, error } = spawnSync('git', args, { encoding: 'utf8' })
  if (status !== 0) fail(`git ${args[0]} failed: ${error?.message ?? stderr.trim()}`)
  return stdout.trim()
}

const edit = (path, change) => {
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, change(text))
}

/** `-1`, `0` or `1`, as semver orders two versions without a pre-release part. */
const compare = (a, b) => {
  const [x, y] = [a, b].map((each) => each.split('.').map(Number))
  const i = x.findIndex((part, at) => part !== y[at])
  return i < 0 ? 0 : Math.sign(x[i] - y[i])
}

const [version = ''] = process.argv.slice(2)
if (!/^\d+\.\d+\.\d+$/.test(version)) fail(`"${version}" is not a version; usage: npm run release -- 0.2.0`)
const current = JSON.parse(readFileSync('package.json', 'utf8')).version
if (compare(version, current) < 0) fail(`${version} is older than ${current}, the version in package.json`)
if (git('status', '--porcelain') !== '') fail('the working tree has changes; commit or stash them first')
if (git('tag', '--list', `v${version}`) !== '') fail(`the tag v${version} exists already`)
const changelog = readFileSync('CHANGELOG.md', 'utf8')
const [heading] = /^## .*, not released yet$/m.exec(changelog) ?? []
if (heading === undefined) fail('CHANGELOG.md has no section that ends with ", not released yet"')
const section = changelog.slice(changelog.indexOf(heading) + heading.length).split(/^## /m)[0]
if (!/^- /m.test(section)) fail(`the section "${heading}" of CHANGELOG.md is empty`)

edit('CHANGELOG.md', (text) => text.replace(heading, `## ${version}, ${new Date().toISOString().slice(0, 10)}`))
edit('package.json', (text) => text.replace(`"version": "${current}"`, `"version": "${version}"`))
// The lockfile names the version twice: at its top and for the root package.
edit('package-lock.json', (text) =>
  text
    .replace(`"version": "${current}"`, `"version": "${version}"`)
    .replace(/("": \{[^}]*?"version": ")[^"]+"/, `$1${version}"`),
)
// The image that the chart starts by default has the tag of its appVersion.
edit('k8s/chart/Chart.yaml', (text) => text.replace(/^(version|appVersion): .*$/gm, `$1: ${version}`))
git('add', 'CHANGELOG.md', 'package.json', 'package-lock.json', 'k8s/chart/Chart.yaml')
git('commit', '--quiet', '--message', `release: ${version}`)
git('tag', '--annotate', `v${version}`, '--message', `wsproxy ${version}`)
console.log(`committed and tagged v${version}; to publish it: git push --follow-tags`)
