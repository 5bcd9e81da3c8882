#!/usr/bin/env node
import { spawn } from 'node:child_process'
import { conform } from './conform.ts'

const CLIENTS_AT_ONCE = 4
const USAGE = `usage: wsproxy-client-conformance <command> [argument ...]
Runs the command once for each case. It must open a session with these variables of its environment:
WSPROXY_URL, WSPROXY_AGENT, WSPROXY_ID, and WSPROXY_TOKEN_URL, which answers each GET with a new token.
`

const [command, ...words] = process.argv.slice(2)
if (command === undefined) {
  process.stderr.write(USAGE)
  process.exit(2)
}
const outcomes = await conform(({ url, agent, id, tokenUrl }) => {
  const child = spawn(command, words, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      WSPROXY_URL: url,
      WSPROXY_AGENT: agent,
      WSPROXY_ID: id,
      WSPROXY_TOKEN_URL: tokenUrl,
    },
  })
  child.on('error', ({ message }) => process.stderr.write(`${message}\n`))
  return () => child.kill()
}, CLIENTS_AT_ONCE)
for (const { name, problem } of outcomes) {
  process.stdout.write(problem === undefined ? `ok ${name}\n` : `not ok ${name}: ${problem}\n`)
}
process.exitCode = outcomes.some(({ problem }) => problem !== undefined) ? 1 : 0
