import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { sessionDown } from '../../../src/contract/names.ts'
import { run } from '../../support/cli.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { atEnd, type Scope } from '../../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT } from '../../support/wait.ts'

const NAMES = ['wsproxy-commands', 'wsproxy-subscriber']

/** A server that listens on 127.0.0.1, ::1 and a socket, with a user of each kind. */
async function serverOf(t: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-socket-'))
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }))
  const socket = join(folder, 'redis @1.sock')
  const server = await realRedisFor(t, ['--bind', '127.0.0.1', '::1', '--unixsocket', socket])
  const admin = await server.client()
  const all = ['on', 'allkeys', 'allchannels', '+@all']
  await admin.sendCommand(['ACL', 'SETUSER', 'bare', ...all, 'nopass'])
  await admin.sendCommand(['ACL', 'SETUSER', 'i@m', ...all, `>${LONG}`])
  return { server, socket, admin }
}
const LONG = `cluster-1/?Action=connect&X-Amz-Security-Token=${'aB3%2F+é'.repeat(150)}==`

describe('an address of Redis', { skip: withoutRealRedis }, () => {
  it('is dialled with the user and the database that it names, in each form', async (t) => {
    const { server, socket, admin } = await serverOf(t)
    const path = encodeURI(socket)
    for (const [url, user, database] of [
      [`redis://127.0.0.1:${server.port}?db=3`, 'default', 3],
      [`redis://[::1]:${server.port}/2`, 'default', 2],
      [`redis://bare@127.0.0.1:${server.port}`, 'bare', 0],
      [`redis://i%40m:${encodeURIComponent(LONG)}@127.0.0.1:${server.port}`, 'i@m', 0],
      [`unix:${path}?db=4`, 'default', 4],
      [`unix://i%40m:${encodeURIComponent(LONG)}@${path}`, 'i@m', 0],
    ] as const) {
      const gateway = await gatewayFor(t, { redis: { ...server, url } })
      const clients = String(await admin.sendCommand(['CLIENT', 'LIST'])).split('\n')
      for (const name of NAMES) {
        const line = clients.find((each) => each.includes(`name=${name} `)) ?? ''
        assert.match(line, new RegExp(` db=${database} .* user=${user} `), url.slice(0, 60))
      }
      if (database === 0) {
        const client = await gateway.join('s1')
        await admin.publish(sessionDown('s1'), '{"n":1}')
        await client.find({ n: 1 })
      }
      await gateway.stop()
    }
  })

  it('of a socket serves the commands as well', async (t) => {
    const { socket, admin } = await serverOf(t)
    const env = {
      MAX_CONNECTIONS: '500',
      LISTEN_ADDR: '127.0.0.1:0',
      REDIS_URL: `unix:${encodeURI(socket)}`,
      PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
    }
    const created = await run(['token', 'create', 's1'], { env })
    assert.equal(created.status, 0, created.stderr)
    assert.equal(await admin.get('session:s1:auth'), created.stdout.trim().split('\n')[0])
    const doctor = await run(['doctor'], { env })
    assert.match(doctor.stdout, /^Redis: unix:\//)
    assert.equal(doctor.status, 0, doctor.stdout)
  })
})
