import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { RedisConnection } from '../../../src/redis/wire/connection.ts'
import { ErrorReply, Unsent } from '../../../src/redis/wire/errors.ts'
import { redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

const targetAt = (port: number, database = 0) => ({
  host: '127.0.0.1',
  port,
  tls: false,
  username: undefined,
  password: undefined,
  database,
})

async function connectTo(port: number, database?: number): Promise<RedisConnection> {
  const connection = new RedisConnection(targetAt(port, database), 'wsproxy-test')
  await within(connection.connect(), 'the connection')
  return connection
}

describe('a connection to Redis', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let connection: RedisConnection
  before(async () => {
    redis = await redisFor(suite)
  })
  beforeEach(async () => {
    connection = await connectTo(redis.port)
  })
  afterEach(() => connection.destroy())

  it('returns replies as text, numbers and lists, and maps as flat lists', async () => {
    assert.equal(await connection.ping(), 'PONG')
    assert.equal(await connection.sendCommand(['SET', 'text', 'é😀']), 'OK')
    assert.equal(await connection.sendCommand(['GET', 'text']), 'é😀')
    assert.equal(await connection.sendCommand(['GET', 'nothing']), null)
    assert.equal(await connection.sendCommand(['HSET', 'hash', 'a', '1', 'b', Buffer.from([0xff])]), 2)
    assert.deepEqual(await connection.sendCommand(['HGETALL', 'hash']), ['a', '1', 'b', '\ufffd'])
    assert.deepEqual(await connection.sendCommand(['HMGET', 'hash', 'a', 'x']), ['1', null])
  })

  it('rejects a command with the error reply of Redis and stays usable', async () => {
    await assert.rejects(connection.sendCommand(['HGET', 'hash']), ErrorReply)
    assert.equal(await connection.ping(), 'PONG')
  })

  it('answers ten thousand commands of one turn in order, large ones among them', async () => {
    const given = Array.from({ length: 10_000 }, (_, i) => `${i}${'.'.repeat(i % 1000 === 0 ? 100_000 : i % 50)}`)
    const answers = given.map((text) => connection.sendCommand(['PING', Buffer.from(text)]))
    assert.deepEqual(await within(Promise.all(answers), 'all answers'), given)
  })

  it('selects the database of the target', { skip: withoutRealRedis }, async () => {
    const third = await connectTo(redis.port, 3)
    await third.sendCommand(['SET', 'where', 'in 3'])
    assert.equal(await connection.sendCommand(['GET', 'where']), null)
    await connection.sendCommand(['SELECT', '3'])
    assert.equal(await connection.sendCommand(['GET', 'where']), 'in 3')
    third.destroy()
  })

  it('fails a command after the end of the connection as Unsent, and not synchronously', async () => {
    connection.destroy()
    const failures: Error[] = []
    const failed = (error: Error) => failures.push(error)
    connection.submit(['PING'], { answered: () => assert.fail('an answer'), failed })
    assert.equal(failures.length, 0)
    await eventually(() => failures.length === 1, 'what became of it')
    assert.ok(failures[0] instanceof Unsent)
  })

  it('authenticates a user without a password (nopass)', { skip: withoutRealRedis }, async () => {
    await connection.sendCommand(['ACL', 'SETUSER', 'guest', 'on', 'nopass', '+@all', '~*', '&*'])
    const guest = new RedisConnection({ ...targetAt(redis.port), username: 'guest' }, 'wsproxy-test')
    await within(guest.connect(), 'the connection')
    assert.equal(await guest.sendCommand(['ACL', 'WHOAMI']), 'guest')
    guest.destroy()
  })

  it('survives a waiter that throws, and raises its error as uncaughtException', async () => {
    const file = new URL('../../../src/redis/wire/connection.js', import.meta.url)
    const code = `
      import { RedisConnection } from ${JSON.stringify(file.href)}
      process.on('uncaughtException', (error) => console.log('heard ' + error.message))
      const connection = new RedisConnection(${JSON.stringify(targetAt(redis.port))}, 'wsproxy-test')
      await connection.connect()
      connection.submit(['PING'], { answered() { throw new Error('for the test') }, failed() {} })
      console.log(await connection.ping())
      connection.destroy()`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])
    assert.deepEqual(stdout.trim().split('\n').sort(), ['PONG', 'heard for the test'])
  })
})

describe('a connection to a server that misbehaves', () => {
  const server = createServer()
  let connection: RedisConnection
  let peer: Socket
  let ends: Error[]
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => server.close())
  beforeEach(async () => {
    const accepted = once(server, 'connection')
    const { port } = server.address() as AddressInfo
    connection = new RedisConnection(targetAt(port), 'wsproxy-test')
    ends = []
    connection.on('error', (error) => void ends.push(error))
    const connected = connection.connect()
    ;[peer] = (await within(accepted, 'the connection')) as [Socket]
    peer.on('error', () => {})
    peer.once('data', () => peer.write('%1\r\n+proto\r\n:3\r\n'))
    await within(connected, 'the greeting')
  })
  afterEach(() => {
    connection.destroy()
    peer.destroy()
  })

  it('fails commands that may have arrived differently from unsent ones when the connection ends', async () => {
    peer.pause()
    const outcomes: string[] = []
    const give = (what: string, size: number) =>
      connection.sendCommand(['SET', what, Buffer.alloc(size)]).catch((error) => {
        outcomes.push(`${what}: ${error instanceof Unsent ? 'unsent' : 'unknown'}`)
      })
    const first = [give('1', 3), give('2', 64 * 1024 * 1024)]
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    const second = [give('3', 3), give('4', 20_000)]
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    peer.resetAndDestroy()
    await within(Promise.all([...first, ...second]), 'what became of them')
    assert.deepEqual(outcomes, ['1: unknown', '2: unknown', '3: unsent', '4: unsent'])
    assert.equal(ends.length, 1)
  })

  it('sends what backpressure held back when the server reads again', async () => {
    peer.pause()
    let bytes = 0
    const large = connection.sendCommand(['SET', 'large', Buffer.alloc(16 * 1024 * 1024)])
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    const small = connection.sendCommand(['PING'])
    let tail = ''
    peer.on('data', (chunk) => {
      bytes += chunk.length
      tail = (tail + chunk.toString('latin1')).slice(-14)
      if (tail === '*1\r\n$4\r\nPING\r\n') peer.write('+OK\r\n+PONG\r\n')
    })
    peer.resume()
    assert.deepEqual(await within(Promise.all([large, small]), 'the answers'), ['OK', 'PONG'])
    assert.ok(bytes > 16 * 1024 * 1024)
  })

  it('fails commands as Unsent after the server has closed its side', async () => {
    const outcomes: string[] = []
    peer.removeAllListeners('data')
    peer.on('data', () => outcomes.push('arrived'))
    peer.end()
    // As many turns as the detection takes; in each of them a caller still submits a command.
    for (let turns = 0; ends.length === 0; turns++) {
      assert.ok(turns < 10_000, 'the end is noticed')
      const failed = (error: Error) => outcomes.push(error instanceof Unsent ? 'unsent' : 'unknown')
      connection.submit(['PING'], { answered: () => outcomes.push('answered'), failed })
      await new Promise(setImmediate)
    }
    await eventually(() => outcomes.length > 0, 'what became of them')
    await new Promise(setImmediate)
    // One may have left before it was known; those of later turns did not.
    assert.ok(outcomes.filter((each) => each !== 'unsent').length <= 2, outcomes.join())
  })

  it('ends the connection when a reply arrives for a command that was not sent', async () => {
    peer.pause()
    const large = connection.sendCommand(['SET', 'large', Buffer.alloc(64 * 1024 * 1024)])
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    const small = connection.ping()
    const refused = assert.rejects(small, Unsent)
    peer.write('+OK\r\n+PONG\r\n')
    assert.equal(await within(large, 'the answer'), 'OK')
    await within(refused, 'the end')
    assert.match(String(ends[0]), /a reply to no command/)
  })

  it('ignores the extra MOVED reply when both sides end a sharded subscription', async () => {
    for (const more of ['-MOVED 866 127.0.0.1:7001\r\n', '']) {
      const answer = connection.ping()
      peer.once('data', () => peer.write(`+PONG\r\n${more}`))
      assert.equal(await within(answer, 'the answer'), 'PONG')
    }
    assert.deepEqual(ends, [])
  })

  for (const [what, bytes] of [
    ['a reply to no command', '+OK\r\n'],
    ['bytes that are not RESP', 'HTTP/1.1 400 Bad Request\r\n'],
  ] as const) {
    it(`ends the connection once at ${what} and fails the commands in flight`, async () => {
      if (what.startsWith('bytes')) void connection.ping().catch((error) => ends.push(error))
      peer.write(bytes)
      await eventually(() => ends.length > 0, 'the end')
      await eventually(() => peer.destroyed || peer.readableEnded, 'the connection to be closed')
      assert.match(String(ends.at(-1)), /RESP/)
      assert.equal(ends.length, what.startsWith('bytes') ? 2 : 1)
    })
  }

  it('fails the commands in flight when the server closes the connection', async () => {
    const waiting = connection.sendCommand(['PING'])
    await once(peer, 'data')
    peer.end()
    await within(assert.rejects(waiting, /closed/), 'the rejection')
    assert.equal(ends.length, 1)
  })
})
