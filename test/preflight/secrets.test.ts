import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { preflightReports } from '../../src/contract/names.ts'
import { killCommands, run, serve } from '../support/cli.ts'
import { checkFolderFor, checkSource } from '../support/preflight.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

/** Passwords of Redis with characters that regular expressions, URLs, JSON or base64 change. */
const PASSWORDS = ['p@ss/w:rd.*$&(of)[a]-test', '$1$&\\d+"quoted"\'both\'', 'ünï çødé % secret']
const ADMIN_TOKEN = 'an/admin+token?of=a&test-0123456789'
const ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` }

describe('secrets in reports', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const sent: string[] = []
  let redis: RealRedis
  let admin: Client
  let dsn: string
  before(async () => {
    redis = await realRedisFor(suite)
    admin = await redis.client()
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', () => {
        const raw = Buffer.concat(chunks)
        sent.push((request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString())
        response.end('{}')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    dsn = `http://public@127.0.0.1:${(server.address() as AddressInfo).port}/1`
    atEnd(suite, () => {
      server.closeAllConnections()
      server.close()
    })
    atEnd(suite, killCommands)
  })

  for (const password of PASSWORDS) {
    it(`no answer, report, Sentry event or line holds the password ${password}, whatever a check quotes`, async (t) => {
      await admin.sendCommand(['ACL', 'SETUSER', 'gate', 'reset', 'on', `>${password}`, '~*', '&*', '+@all'])
      await admin.del(preflightReports())
      sent.length = 0
      const url = `redis://gate:${encodeURIComponent(password)}@127.0.0.1:${redis.port}`
      const basic = Buffer.from(`gate:${password}`).toString('base64')
      const forms = [password, encodeURIComponent(password), JSON.stringify(password), basic, url, ADMIN_TOKEN]
      const text = JSON.stringify(forms.join(' | '))
      const verdict = `{ status: 'fail', message: ${text}, remediation: ${text}, details: { [${text}]: [${text}] } }`
      const folder = checkFolderFor(t)
      folder.add('returns.js', checkSource('returns', `return ${verdict}`, 10))
      folder.add('throws.js', checkSource('throws', `throw new Error('x', { cause: new Error(${text}) })`, 10))
      const env = { REDIS_URL: url, ADMIN_TOKEN, PREFLIGHT_CHECKS_FOLDER: folder.path, SENTRY_DSN: dsn }
      const { command, http } = await serve({ ...env, LOG_LEVEL: 'trace', MAX_CONNECTIONS: '100' })
      await eventually(async () => (await fetch(`${http}/health`)).status === 200, 'the gateway')
      const shown: string[] = []
      const ask = async (path: string, init: RequestInit = {}) => {
        const answer = await fetch(http + path, { ...init, headers: { ...ADMIN, accept: 'application/json' } })
        const body = await answer.text()
        shown.push(body, JSON.stringify([...answer.headers]))
        return body
      }
      // What a caller sends comes back in the report.
      const body = JSON.stringify({ metadata: { note: forms } })
      const report = JSON.parse(await ask('/api/preflight/run', { method: 'POST', body })) as { id: string }
      assert.ok(JSON.stringify(report).includes('***'))
      await eventually(async () => (await admin.xLen(preflightReports())) > 0, 'the report to be stored')
      await eventually(() => sent.length > 0, 'the event')
      for (const path of [
        '/ready',
        '/api/preflight/reports',
        `/api/preflight/reports/${report.id}`,
        '/admin/monitoring',
      ])
        assert.match(await ask(path), /\*\*\*/, path)
      for (const path of ['/api/preflight/stats', '/metrics', `/${encodeURIComponent(password)}`]) await ask(path)
      shown.push(JSON.stringify(await admin.xRange(preflightReports(), '-', '+')), ...sent)
      const doctor = await run(['doctor', '--json'], { env: { ...env, LISTEN_ADDR: '127.0.0.1:0' } })
      shown.push(command.stdout, command.stderr, doctor.stdout, doctor.stderr)
      const inside = forms.flatMap((form) => (form === url ? [] : [form, JSON.stringify(form).slice(1, -1)]))
      for (const each of shown) for (const form of inside) assert.ok(!each.includes(form), `${form} in ${each}`)
    })
  }
})
