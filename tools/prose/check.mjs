#!/usr/bin/env node
/**
 * Checks the English of changed comments and pages: words that hide the subject of a sentence, and
 * comment lines of more than 100 columns. Plain Node, no packages.
 *
 *   node tools/prose/check.mjs          lines that differ from the default branch, or from HEAD~1
 *   node tools/prose/check.mjs --all    every line of the repository
 *
 * Exit status 1: a line has a problem; each is printed as file:line. The check passes without git
 * history and without a change.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const MAX_COLUMNS = 100
const CHECKED = /\.(ts|mjs|md)$/
const GENERATED = /\.gen\.|(^|\/)(dist|node_modules)\/|^test\/fixtures\//

/** Each pattern with the advice that the check prints. */
const WORDS = [
  [/\b(no|some)body\b|\bwhoever\b/i, 'name the client, the caller or the operator'],
  [/(^|[.:;] )Who\b(?![^.]*\?)/, 'begin with the subject: the client, the caller, the link'],
  [/\b(by|for|of|from|to|than|when|where|while|with) who\b/, 'name the client, the caller or the part'],
  [/\b(is|are|was|were|be|been|being) told\b|\btells\b/i, 'code returns, throws, logs or notifies'],
  [/(^|[.:;] )The (same|opposite)\.(\s|$)/, 'write a whole sentence'],
  [/\b(is|are|was|were) none\b/i, 'say what is missing'],
  [/\bfor so long\b|\bso (long|many) at (the )?most\b|\bat the most\b/i, 'write "for at most"'],
  [/\bgoes its way\b|\bof its own accord\b/i, 'say what happens'],
]

/** The text of a comment on this line of code; undefined for a line without a comment. */
function commentOn(line) {
  const [, whole] = /^\s*(?:\/\/|\/\*\*?|\*(?![\w(]))\s?(.*)$/.exec(line) ?? []
  if (whole !== undefined) return { text: whole.replace(/\*\/\s*$/, ''), isWhole: true }
  const [, code, trailing] = /^(.*?)\s\/\/ (.*)$/.exec(line) ?? []
  const isInText = ["'", '"', '`'].some((quote) => code?.split(quote).length % 2 === 0)
  return trailing === undefined || isInText ? undefined : { text: trailing, isWhole: false }
}

/** The prose of each line of a page; undefined for headings and for code. */
function proseOf(lines) {
  let isFenced = false
  return lines.map((line) => {
    if (/^\s*(```|~~~)/.test(line)) isFenced = !isFenced
    if (isFenced || /^(#|\s{4}|```|~~~)/.test(line)) return undefined
    return { text: line.replace(/^\s*(?:[-*>|]|\d+\.)\s+/, ''), isWhole: false }
  })
}

function problemsIn(path, text, isChanged) {
  const lines = text.split('\n')
  const prose = path.endsWith('.md') ? proseOf(lines) : lines.map(commentOn)
  return prose.flatMap((each, i) => {
    if (each === undefined || !isChanged(i + 1)) return []
    const problems = []
    const columns = [...lines[i]].length
    if (each.isWhole && columns > MAX_COLUMNS && !lines[i].includes('://'))
      problems.push(`${columns} columns: wrap the comment at ${MAX_COLUMNS}`)
    const words = each.text.replace(/`[^`]*`|"[^"]*"/g, '``')
    for (const [pattern, advice] of WORDS) {
      const [found] = pattern.exec(words) ?? []
      if (found !== undefined) problems.push(`"${found.trim()}": ${advice}`)
    }
    return problems.map((problem) => `${path}:${i + 1}: ${problem}`)
  })
}

/** The output of a git command; undefined when it fails. */
function git(...args) {
  const { status, stdout } = spawnSync('git', args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  return status === 0 ? stdout : undefined
}

/** The commit with which the working tree is compared; undefined without one. */
function baseCommit() {
  const head = git('rev-parse', 'HEAD')?.trim()
  const remote = git('symbolic-ref', '--short', 'refs/remotes/origin/HEAD')?.trim()
  for (const branch of [remote, 'main', 'master']) {
    const base = branch && git('merge-base', 'HEAD', branch)?.trim()
    if (base && base !== head) return base
  }
  return git('rev-parse', '--verify', '--quiet', 'HEAD~1')?.trim()
}

/** The changed lines of each file, from a diff without context. */
function changedLines(diff) {
  const changed = new Map()
  let lines
  for (const row of diff.split('\n')) {
    const [, path] = /^\+\+\+ b\/(.*)$/.exec(row) ?? []
    if (path !== undefined) {
      lines = new Set()
      changed.set(path, lines)
    }
    const [, from, count = '1'] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(row) ?? []
    for (let i = 0; from !== undefined && i < Number(count); i++) lines?.add(Number(from) + i)
  }
  return changed
}

const listed = (...args) => (git('ls-files', ...args) ?? '').split('\n').filter(Boolean)
const checked = (path) => CHECKED.test(path) && !GENERATED.test(path)
const problemsOf = (path, isChanged) => problemsIn(path, readFileSync(path, 'utf8'), isChanged)

function main(all) {
  const root = git('rev-parse', '--show-toplevel')?.trim()
  if (root === undefined) return []
  process.chdir(root)
  const everyLine = () => true
  const untracked = listed('--others', '--exclude-standard')
  if (all) return [...listed(), ...untracked].filter(checked).flatMap((path) => problemsOf(path, everyLine))
  const base = baseCommit()
  const diff = base && git('diff', '--unified=0', '--no-color', '--no-ext-diff', '--diff-filter=d', base)
  const problems = [...changedLines(diff ?? '')]
    .filter(([path]) => checked(path))
    .flatMap(([path, lines]) => problemsOf(path, (line) => lines.has(line)))
  return [...problems, ...untracked.filter(checked).flatMap((path) => problemsOf(path, everyLine))]
}

const problems = main(process.argv.includes('--all'))
for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error(`${problems.length} problems of wording (CONTRIBUTING.md explains the rules)`)
  process.exitCode = 1
}
