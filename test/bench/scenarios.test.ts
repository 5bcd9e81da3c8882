import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { answersOf, refusalsOf } from '../../bench/load/cannon.ts'
import { nowUs, sleep } from '../../bench/load/clock.ts'
import { Fleet } from '../../bench/load/fleet.ts'
import { Latencies } from '../../bench/load/latencies.ts'
import { probe } from '../../bench/load/prober.ts'
import { Tally } from '../../bench/load/tally.ts'
import { Usage } from '../../bench/load/usage.ts'
import { Faulty, Refused, refuseIfBound, refuseIfTooLittle } from '../../bench/scenario.ts'
import { isCalm } from '../../bench/scenarios/idle.ts'

describe('the wait for calm memory', () => {
  const high = Array(5).fill(100)

  it('memory is calm when it has fallen and then stood still', () => {
    assert.equal(isCalm([...high, ...Array(10).fill(70)]), true)
    assert.equal(isCalm([...high, ...Array(9).fill(70)]), false)
  })

  it('memory is not calm when it never fell, nor while it still falls', () => {
    assert.equal(isCalm(Array(50).fill(100)), false)
    assert.equal(isCalm([...high, 79, 78, 76, 75, 73, 70, 68, 66, 64, 60]), false)
  })
})

describe('the generator', () => {
  it('a busy or late generator refuses the round without blaming the subject', () => {
    const bound = (error: unknown) =>
      error instanceof Refused && !(error instanceof Faulty) && /bottleneck/.test(error.message)
    assert.throws(() => refuseIfBound('receiver', { generatorShare: 0.91 }), bound)
    assert.throws(() => refuseIfBound('publisher', { generatorShare: 0, lagP99Ms: 21 }), bound)
    assert.throws(() => refuseIfBound('receiver', { generatorShare: 0, awayShare: 0.011 }), bound)
    refuseIfBound('receiver', { generatorShare: 0.9, lagP99Ms: 20, awayShare: 0.01 })
    assert.throws(() => refuseIfTooLittle(0.09), /too little CPU/)
    refuseIfTooLittle(0.1)
  })

  it('the generator reports how long it was absent, not how long it worked', () => {
    const usage = new Usage()
    for (const untilUs = nowUs() + 40_000; nowUs() < untilUs; );
    const worked = usage.used().awayShare
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
    const { awayShare } = usage.used()
    assert.ok(awayShare > 0.5 && awayShare > worked, `${awayShare} after ${worked}`)
    usage.restart()
    assert.equal(usage.used().awayShare, 0)
  })

  it('a message that arrived before it was sent makes the latencies throw', () => {
    const latencies = new Latencies()
    latencies.record(-5)
    latencies.inMs()
    latencies.record(-5000)
    assert.throws(() => latencies.inMs(), /before they were sent/)
    latencies.reset()
    latencies.record(1000)
    assert.equal(Math.round(latencies.inMs().p50), 1)
  })

  it('connecting no sockets resolves at once', async () => {
    const { opened, failed } = await new Fleet(new Tally()).connect({ port: 1, first: 0, count: 0, inFlight: 1 })
    assert.deepEqual([opened, failed], [0, 0])
  })
})

describe('the HTTP load', () => {
  const BLOCKED_MS = 150
  let stalls = false
  const server = createServer((request, response) => {
    setTimeout(() => response.writeHead(request.url === '/bad' ? 500 : 200).end('ok'), stalls ? BLOCKED_MS : 0)
    stalls = false
  })
  server.on('upgrade', ({ headers: { connection } }, socket) => {
    const status = connection === 'Upgrade' ? '403 Forbidden' : '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  })
  let port = 0
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('the prober keeps its rate while an answer is late', async () => {
    stalls = true
    const startedUs = nowUs()
    const probed = await probe(port, '/', 100, sleep(400))
    const seconds = (nowUs() - startedUs) / 1e6
    assert.equal(probed.failed, 0)
    assert.ok(probed.latencyMs.max >= BLOCKED_MS - 1)
    assert.ok(probed.answers >= 30 && probed.answers <= seconds * 100 + 1, `${probed.answers} in ${seconds} s`)
  })

  it('the prober counts an answer with another status as failed', async () => {
    const probed = await probe(port, '/bad', 100, sleep(50))
    assert.equal(probed.failed, probed.answers)
    const shots = { port, path: '/bad', status: 200, answers: 20, perSecond: 1000 }
    assert.deepEqual(await answersOf(shots).then(({ answers, failed }) => [answers, failed]), [20, 20])
  })

  it('autocannon sends each upgrade on a connection of its own and gets every refusal', async () => {
    const shots = { port, path: '/', status: 403, answers: 100, perSecond: 1000 }
    const { answers, failed, latencyMs } = await refusalsOf(shots)
    assert.deepEqual([answers, failed], [100, 0])
    assert.ok(latencyMs.p50 > 0 && latencyMs.p50 <= latencyMs.p999)
  })
})
