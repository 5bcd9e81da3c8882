import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth } from '../../src/contract/names.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { assertRefusal, assertRefused, counted, knock, REFUSED, withToken } from '../support/refusals.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { answerOf, untilOpen } from '../support/wire.ts'

describe('a limit', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  const start = (env: Record<string, string>) => gatewayFor(suite, { redis, env })
  before(async () => {
    redis = await redisFor(suite)
  })

  const xff = (address: string) => ({ 'X-Forwarded-For': address })

  describe('of the connect rate', () => {
    it('refuses upgrades over the connect rate with 429, spends none of their tokens, and lets them in later', async () => {
      const gateway = await start({ CONNECT_RATE: '1' })
      const sessions = Array.from({ length: 20 }, (_, i) => `rush-${i}`)
      const sockets = await Promise.all(sessions.map((session) => knock(gateway, session)))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      const late = sessions.filter((_, i) => statuses[i] === 429)
      assert.ok(statuses.includes(101))
      assert.ok(late.length >= 10, `${late.length} of 20 were refused`)
      for (const [i, raw] of sockets.entries()) {
        if (statuses[i] !== 429) continue
        await raw.untilClosed()
        assertRefusal(answerOf(raw), REFUSED.connectRate)
      }
      assert.equal(await counted(gateway, 'connect-rate'), late.length)
      assert.equal(await gateway.metric('wsproxy_rate_limited_total', { what: 'connect' }), late.length)
      assert.equal(await redis.client().then((client) => client.exists(late.map(sessionAuth))), late.length)
      const token = await gateway.token(late[0]!)
      const again = () => connect(gateway.sessionUrl(late[0]!), { token }).catch(() => undefined)
      await (await eventually(again, 'the bucket to refill')).close()
      for (const raw of sockets) raw.destroy()
    })

    it('limits the connect rate of each address, beside the rate of all', async () => {
      const gateway = await start({ CONNECT_RATE_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const addresses = Array.from({ length: 10 }, (_, i) => `10.0.0.${i}`)
      const rush = addresses.flatMap((address) => Array<string>(5).fill(address))
      const sockets = await Promise.all(rush.map((address, i) => knock(gateway, `each-${i}`, xff(address))))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      for (const address of addresses) {
        const mine = statuses.filter((_, i) => rush[i] === address)
        assert.ok(mine.includes(101), `${address}: ${mine}`)
      }
      const refusals = statuses.filter((status) => status === 429).length
      assert.ok(refusals >= 10, `${refusals} of 50 were refused`)
      assert.equal(await counted(gateway, 'connect-rate'), refusals)
      for (const raw of sockets) raw.destroy()
    })
  })

  describe('of sockets in all', () => {
    it('refuses sockets over MAX_CONNECTIONS with 503 and gives a place back at every close', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '2' })
      const [first, second] = await Promise.all([gateway.join('full-1'), gateway.join('full-2')])
      const token = await gateway.token('third')
      await assertRefused(gateway, upgradeRequest('/a/ws/third', withToken(token)), REFUSED.atCapacity)
      const enter = () => connect(gateway.sessionUrl('third'), { token }).catch(() => undefined)
      await first.close()
      const third = await eventually(enter, 'a place')
      second.socket.terminate()
      await untilOpen(gateway, 1)
      await (await gateway.join('fourth')).close()
      await third.close()
      await untilOpen(gateway, 0)
    })

    it('takes no place for a refusal, nor for a client that hangs up during its upgrade', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '2' })
      for (let i = 0; i < 10; i++) {
        assert.equal((await refused(gateway.sessionUrl('refusals'), { token: 'wrong' })).code, 'token-rejected')
        assert.equal((await refused(gateway.sessionUrl('refusals'))).code, 'credentials-missing')
        ;(await knock(gateway, `hang-up-${i}`)).destroy()
      }
      const enter = () => gateway.join('refusals').catch(() => undefined)
      const clients = [await eventually(enter, 'a place'), await eventually(enter, 'the other place')]
      assert.equal((await refused(gateway.sessionUrl('refusals'), { token: 'x' })).code, 'at-capacity')
      for (const client of clients) await client.close()
      await untilOpen(gateway, 0)
    })

    it('counts upgrades in progress as sockets, so that a rush does not pass MAX_CONNECTIONS', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '5' })
      const sockets = await Promise.all(Array.from({ length: 30 }, (_, i) => knock(gateway, `rush-in-${i}`)))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      assert.deepEqual(
        [101, 503].map((wanted) => statuses.filter((status) => status === wanted).length),
        [5, 25],
      )
      await untilOpen(gateway, 5)
      for (const raw of sockets) raw.destroy()
      await untilOpen(gateway, 0)
    })
  })

  describe('of sockets from one address', () => {
    it('refuses sockets over the limit of their address with 429 and gives the place back at a close', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1' })
      const first = await gateway.join('one')
      const token = await gateway.token('two')
      await assertRefused(gateway, upgradeRequest('/a/ws/two', withToken(token)), REFUSED.addressLimit)
      await first.close()
      const enter = () => connect(gateway.sessionUrl('two'), { token }).catch(() => undefined)
      await (await eventually(enter, 'the place')).close()
    })

    it('ignores the address that a client claims when no proxy is trusted', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1' })
      const first = await knock(gateway, 'spoof', xff('10.0.0.1'))
      assert.equal(await first.status(), 101)
      await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', xff('10.0.0.2'))), REFUSED.addressLimit)
      first.destroy()
    })

    it('takes the address of a client from the last entry of X-Forwarded-For, which the trusted proxy wrote', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'proxied', xff('192.0.2.1, 10.0.0.1'))
      const second = await knock(gateway, 'proxied-2', xff('192.0.2.1,10.0.0.2'))
      assert.deepEqual([await first.status(), await second.status()], [101, 101])
      for (const said of ['10.0.0.1', '198.51.100.7, 10.0.0.1 ', '10.0.0.9,10.0.0.2']) {
        await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', xff(said))), REFUSED.addressLimit)
      }
      const remotes = gateway.log
        .filter(({ event }) => event === 'accepted')
        .map(({ conn }) => (conn as { remote: string }).remote)
      assert.deepEqual(remotes.toSorted(), ['10.0.0.1', '10.0.0.2'])
      for (const raw of [first, second]) raw.destroy()
    })

    it('takes the address of a client from the last X-Forwarded-For line when the proxy adds a line of its own', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'lines', xff('10.0.0.1'))
      assert.equal(await first.status(), 101)
      const spoofed = xff('192.0.2.1\r\nX-Forwarded-For: 10.0.0.1')
      await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', spoofed)), REFUSED.addressLimit)
      first.destroy()
    })

    it('takes the address of the connection when the proxy wrote no X-Forwarded-For', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'bare')
      assert.equal(await first.status(), 101)
      for (const headers of [{}, xff(''), xff('127.0.0.1')]) {
        await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', headers)), REFUSED.addressLimit)
      }
      first.destroy()
    })

    it('takes the address of a client from the PROXY protocol, version 2', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'proxy-protocol' })
      const preamble = (last: number) =>
        Buffer.from([
          ...Buffer.from('\r\n\r\n\0\r\nQUIT\n'),
          ...[0x21, 0x11, 0, 12],
          ...[10, 0, 0, last, 127, 0, 0, 1, 0x30, 0x39, 0x1f, 0x90],
        ])
      const from = async (last: number, session: string) => {
        const token = await gateway.token(session)
        const raw = await RawSocket.open(gateway.http)
        raw.write(Buffer.concat([preamble(last), Buffer.from(upgradeRequest(`/a/ws/${session}`, withToken(token)))]))
        return raw
      }
      const [first, second] = [await from(1, 'proxy'), await from(2, 'proxy-2')]
      assert.deepEqual([await first.status(), await second.status()], [101, 101])
      const request = Buffer.concat([preamble(1), Buffer.from(upgradeRequest('/a/ws/s', withToken('x')))])
      await assertRefused(gateway, request, REFUSED.addressLimit)
      for (const raw of [first, second]) raw.destroy()
    })
  })
})
