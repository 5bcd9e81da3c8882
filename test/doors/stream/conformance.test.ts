import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../../support/folder.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { page } from '../../support/pages.ts'
import { withoutRealRedis } from '../../support/redis.ts'
import { atEnd, type Scope } from '../../support/scope.ts'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))
const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const POLL_TIMEOUT_MS = 1000
const ENV = {
  STREAM_APPEND: 'true',
  ADMIN_TOKEN,
  STREAM_POLL_TIMEOUT: `${POLL_TIMEOUT_MS}ms`,
  CONNECT_RATE: '0',
  CONNECT_RATE_PER_IP: '0',
  REFUSED_RATE_PER_IP: '0',
}

/** Forks are answered with 501, and the tests of webhooks have to be asked for. */
const LEFT_OUT = '^(?!.*Fork)'

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

/** The suite knows no credentials, so a proxy in front adds them. Returns its address. */
async function withToken(scope: Scope, port: number): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${ADMIN_TOKEN}` }
    const { method, url: path } = incoming
    const upstream = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing)
    })
    upstream.on('error', () => outgoing.headersSent || outgoing.destroy())
    outgoing.on('close', () => outgoing.writableFinished || upstream.destroy())
    incoming.pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(scope, () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('streams pass the conformance suite of their protocol, without forks', { skip: withoutRealRedis }, async (t) => {
  const gateway = await gatewayFor(t, { env: ENV })
  const url = await withToken(t, Number(new URL(gateway.http).port))
  const output = join(temporaryFolder(t).TMPDIR, 'report.json')
  const suite = join(ROOT, 'test/fixtures/durable-streams')
  const ofSuite = createRequire(createRequire(import.meta.url).resolve('@durable-streams/server-conformance-tests'))
  const vitest = join(dirname(ofSuite.resolve('vitest/package.json')), 'vitest.mjs')
  const args = ['run', '--reporter=json', `--outputFile=${output}`, '--testNamePattern', LEFT_OUT]
  const env = { ...process.env, CONFORMANCE_TEST_URL: url, POLL_TIMEOUT_MS: String(POLL_TIMEOUT_MS) }
  const child = spawn(process.execPath, [vitest, ...args], { cwd: suite, env, stdio: ['ignore', 'ignore', 'inherit'] })
  atEnd(t, () => child.kill())
  await once(child, 'exit')
  const report = JSON.parse(readFileSync(output, 'utf8')) as Report
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = results.filter(({ status }) => status === 'failed')
  assert.deepEqual(
    failed.map(({ fullName, failureMessages }) => [fullName, failureMessages[0]]),
    [],
  )
  const passed = results.filter(({ status }) => status === 'passed').length
  assert.ok(
    page('docs/reference/streams.md').includes(`all ${passed} tests`),
    `the page says that ${passed} tests pass, of ${results.length}`,
  )
})
