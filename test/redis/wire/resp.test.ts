import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CommandWriter } from '../../../src/redis/wire/encode.ts'
import { ErrorReply } from '../../../src/redis/wire/errors.ts'
import { ReadBuffer } from '../../../src/redis/wire/read-buffer.ts'
import { RespReader } from '../../../src/redis/wire/resp.ts'
import type { Reply } from '../../../src/redis/wire/values.ts'
import { assertProperty } from '../../support/property.ts'

/** Everything that a reader hands over, copied, since the buffers are views. */
function readerWithLog(arrays = false) {
  const log: unknown[] = []
  const plain = (value: Reply): unknown => {
    if (value instanceof ErrorReply) return { error: value.message }
    if (Buffer.isBuffer(value)) return value.toString('latin1')
    return Array.isArray(value) ? value.map(plain) : value
  }
  const handlers = {
    message: (wanted: string, payload: Buffer, channel: string) =>
      log.push(['message', wanted, channel, payload.toString('latin1')]),
    push: (kind: string, first: string) => log.push(['push', kind, first]),
    reply: (value: Reply) => log.push(['reply', plain(value)]),
  }
  const reader = new RespReader(handlers, arrays)
  const unread = new ReadBuffer()
  return { push: (bytes: Buffer) => unread.pass(bytes, bytes.length, reader), log }
}

function readWhole(text: string, arrays = false): unknown[] {
  const { push, log } = readerWithLog(arrays)
  push(Buffer.from(text, 'latin1'))
  return log
}

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`
const message = (channel: string, payload: string) => `>3\r\n${bulk('message')}${bulk(channel)}${bulk(payload)}`

const VALUES: readonly [string, unknown][] = [
  ['+PONG\r\n', 'PONG'],
  ['+\r\n', ''],
  ['-NOPERM no\r\n', { error: 'NOPERM no' }],
  [':-42\r\n', -42],
  [':0\r\n', 0],
  [':9\r\n', 9],
  [':10\r\n', 10],
  [bulk('a\r\nb'), 'a\r\nb'],
  ['$0\r\n\r\n', ''],
  ['$-1\r\n', null],
  ['*-1\r\n', null],
  ['_\r\n', null],
  ['#t\r\n', true],
  ['#f\r\n', false],
  [',-inf\r\n', Number.NEGATIVE_INFINITY],
  [',1.5\r\n', 1.5],
  ['(12345678901234567890\r\n', '12345678901234567890'],
  ['=9\r\ntxt:hello\r\n', 'hello'],
  ['!9\r\nSYNTAX no\r\n', { error: 'SYNTAX no' }],
  ['*0\r\n', []],
  [`*3\r\n:1\r\n${bulk('x')}*1\r\n_\r\n`, [1, 'x', [null]]],
  ['~1\r\n:1\r\n', [1]],
  ['%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n', ['a', 1, 'b', 2]],
  ['|1\r\n+ttl\r\n:3600\r\n:7\r\n', 7],
]

describe('RESP', () => {
  for (const [text, value] of VALUES) {
    it(`reads the RESP value ${JSON.stringify(text)}`, () => assert.deepEqual(readWhole(text), [['reply', value]]))
  }

  it('reads replies of any length as replies where plain arrays may be pushes', () => {
    for (const [text, value] of VALUES) assert.deepEqual(readWhole(text, true), [['reply', value]], text)
    const role = `*3\r\n${bulk('master')}:0\r\n*0\r\n`
    assert.deepEqual(readWhole(role, true), [['reply', ['master', 0, []]]])
  })

  it('reads messages of plain channels, sharded channels and patterns', () => {
    const sharded = `>3\r\n${bulk('smessage')}${bulk('c')}${bulk('p')}`
    const pattern = `>4\r\n${bulk('pmessage')}${bulk('a*')}${bulk('ab')}${bulk('p')}`
    assert.deepEqual(readWhole(message('c', '') + sharded + pattern), [
      ['message', 'c', 'c', ''],
      ['message', 'c', 'c', 'p'],
      ['message', 'a*', 'ab', 'p'],
    ])
    assert.deepEqual(readWhole(`>3\r\n${bulk('subscribe')}${bulk('c')}:1\r\n`), [['push', 'subscribe', 'c']])
  })

  const confirmation = (kind: string, channel: string, count: string) =>
    `>3\r\n${bulk(kind)}${bulk(channel)}:${count}\r\n`

  it('reads the confirmations of subscriptions, and pushes that only look like one', () => {
    const kinds = ['subscribe', 'ssubscribe', 'psubscribe', 'unsubscribe', 'subscribf']
    for (const kind of kinds)
      for (const count of ['0', '12', '4294967295'])
        assert.deepEqual(readWhole(confirmation(kind, 'session:x:down', count) + message('c', 'p')), [
          ['push', kind, 'session:x:down'],
          ['message', 'c', 'c', 'p'],
        ])
    // The name of the channel is null, or the push has more values than a confirmation.
    assert.deepEqual(readWhole(`>3\r\n${bulk('subscribe')}_\r\n:0\r\n`), [['push', 'subscribe', 'null']])
    assert.deepEqual(readWhole(`>4\r\n${bulk('subscribe')}${bulk('c')}:1\r\n:2\r\n+OK\r\n`), [
      ['push', 'subscribe', 'c'],
      ['reply', 'OK'],
    ])
  })

  it('reads the same values wherever the RESP stream is cut', () => {
    const stream = VALUES.map(
      ([text], i) => text + message('channel', `${text}é\xff`) + confirmation('subscribe', `c${i}`, String(i * 7)),
    ).join('')
    const whole = readWhole(stream)
    const bytes = Buffer.from(stream, 'latin1')
    for (let at = 1; at < bytes.length; at++) {
      const { push, log } = readerWithLog()
      push(bytes.subarray(0, at))
      push(bytes.subarray(at))
      assert.deepEqual(log, whole, `cut at ${at}`)
    }
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: bytes.length, maxLength: bytes.length })
    assertProperty(
      fc.property(cuts, (sizes) => {
        const { push, log } = readerWithLog()
        for (let at = 0, i = 0; at < bytes.length; at += sizes[i++]!) push(bytes.subarray(at, at + sizes[i]!))
        assert.deepEqual(log, whole)
      }),
      { numRuns: 50 },
    )
  })

  it('copies a large message once, however many chunks it arrives in', () => {
    const { push, log } = readerWithLog()
    const bytes = Buffer.from(message('c', 'x'.repeat(20_000_000)))
    const startedAt = process.cpuUsage()
    for (let at = 0; at < bytes.length; at += 16_384) push(bytes.subarray(at, at + 16_384))
    const { user, system } = process.cpuUsage(startedAt)
    assert.equal(log.length, 1)
    // Copied anew with each of its 1,200 chunks it would be 12 GB.
    assert.ok(user + system < 2_000_000, `${user + system} us`)
  })

  it('scans a large reply of many small values once, however many chunks it arrives in', () => {
    const { push, log } = readerWithLog()
    const fields = Array.from({ length: 200_000 }, (_, i) => bulk(`field-${i}`) + bulk(`value-${i}`)).join('')
    const bytes = Buffer.from(`%200000\r\n${fields}`)
    const startedAt = process.cpuUsage()
    for (let at = 0; at < bytes.length; at += 16_384) push(bytes.subarray(at, at + 16_384))
    const { user, system } = process.cpuUsage(startedAt)
    assert.equal((log as [string, unknown[]][])[0]![1].length, 400_000)
    // Read anew with each of its 400 chunks it would be 80 million values.
    assert.ok(user + system < 3_000_000, `${user + system} us`)
  })

  it('throws an error that begins with RESP at bytes that are not RESP', () => {
    const wrong = [
      'HTTP/1.1 400\r\n',
      '$x\r\n',
      '$3\r\nabcd\r\n',
      '$-2\r\n',
      '*99999999999\r\n',
      `+${'x'.repeat(100_000)}`,
      '>0\r\n+OK\r\n',
    ]
    // In pieces these show only when they are complete.
    for (const text of ['*1\r\n'.repeat(100), '|0\r\n'.repeat(100), `>3\r\n${bulk('message')}:1\r\n`, '$3\r\rabc'])
      assert.throws(() => readWhole(text), /^Error: RESP: /)
    for (const text of wrong) {
      assert.throws(() => readWhole(text), /^Error: RESP: /, text.slice(0, 30))
      const drip = () => {
        const { push } = readerWithLog()
        const step = Math.ceil(text.length / 100)
        for (let at = 0; at < text.length; at += step) push(Buffer.from(text.slice(at, at + step), 'latin1'))
      }
      assert.throws(drip, /^Error: RESP: /, `${text.slice(0, 30)}, byte by byte`)
    }
  })

  const written = (writer: CommandWriter) => Buffer.concat(writer.take())

  it('writes commands as bulk strings with their length in bytes', () => {
    const writer = new CommandWriter()
    writer.append(['SUBSCRIBE', 'a', 'é'])
    writer.append(['P', Buffer.from([255]), ''])
    assert.equal(
      written(writer).toString('latin1'),
      Buffer.from('*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$2\r\né\r\n*3\r\n$1\r\nP\r\n$1\r\n?\r\n$0\r\n\r\n')
        .toString('latin1')
        .replace('?', '\xff'),
    )
    assert.deepEqual(writer.take(), [])
  })

  it('writes a command of more arguments than its memory holds at once', () => {
    const writer = new CommandWriter()
    const names = Array.from({ length: 5000 }, (_, i) => `session:${i % 7 === 0 ? 'é' : 'e'}-${i}:down`)
    writer.append(['SUBSCRIBE', ...names])
    const parts = names.map((name) => `$${Buffer.byteLength(name)}\r\n${name}\r\n`)
    assert.equal(written(writer).toString(), `*5001\r\n$9\r\nSUBSCRIBE\r\n${parts.join('')}`)
  })

  it('writes commands of any size correctly and does not change taken buffers until reuse', () => {
    const edges = [127, 128, 129].flatMap((length) => ['x', 'é', '\ud800'].map((last) => 'x'.repeat(length - 1) + last))
    const long = fc.constantFrom(...edges, 'x'.repeat(70_000), 'é'.repeat(30_000))
    const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), long)
    const sizes = fc.oneof(fc.nat(300), fc.constantFrom(16_384, 16_385, 65_536, 200_000))
    const bytes = sizes.map((size) => Buffer.alloc(size, size % 251))
    const commands = fc.array(fc.array(fc.oneof(text, bytes), { minLength: 1, maxLength: 5 }), { maxLength: 30 })
    const plain = (args: (string | Buffer)[]) =>
      Buffer.concat([
        Buffer.from(`*${args.length}\r\n`),
        ...args.flatMap((arg) => {
          const its = Buffer.from(arg as string)
          return [Buffer.from(`$${its.length}\r\n`), its, Buffer.from('\r\n')]
        }),
      ])
    assertProperty(
      fc.property(commands, fc.array(fc.constantFrom('take', 'reuse', 'go on')), (given, turns) => {
        const writer = new CommandWriter()
        const kept: Buffer[] = []
        const out: Buffer[] = []
        const taken = () => kept.push(...writer.take())
        given.forEach((args, i) => {
          writer.append(args)
          if (turns[i] === 'go on') return
          taken()
          if (turns[i] !== 'reuse') return
          out.push(...kept.splice(0).map((each) => Buffer.from(each)))
          writer.reuse()
        })
        taken()
        assert.ok(Buffer.concat([...out, ...kept]).equals(Buffer.concat(given.map(plain))))
      }),
      { numRuns: 200 },
    )
  })
})
