import { clientFrame } from '../support/raw.ts'
import { OPCODE } from '../support/wire.ts'

/**
 * What a socket does after the bytes of a case: it stays open, it answers a close frame with one of
 * this code (0: without a code) and ends, or it is cut without a close frame.
 */
export type Outcome = 'open' | 'cut' | number

export interface FrameCase {
  readonly bytes: readonly Buffer[]
  readonly outcome: Outcome
  /** Payloads of the pongs, in order. Default: none. */
  readonly pongs?: readonly string[]
  /** Whether the frames make up one JSON ping, which the door answers. */
  readonly isPing?: true
  /** Writes every byte by itself. */
  readonly byByte?: true
}

export type FrameCases = Readonly<Record<string, FrameCase>>

const PING = '{"type":"ping"}'
const { text, continuation, close, ping, pong } = OPCODE

const fails = (...bytes: Buffer[]): FrameCase => ({ bytes, outcome: 'cut' })
const stays = (...bytes: Buffer[]): FrameCase => ({ bytes, outcome: 'open' })
const understood = (...bytes: Buffer[]): FrameCase => ({ bytes, outcome: 'open', isPing: true })
const more = (opcode: number, payload: string | Buffer) => clientFrame(opcode, payload, { fin: false })
const all = <T>(values: readonly T[], name: (value: T) => string, make: (value: T) => FrameCase): FrameCases =>
  Object.fromEntries(values.map((value) => [name(value), make(value)]))

/** A frame whose length is written in so many bytes, and whose mask is not zero. */
function framed(
  opcode: number,
  payload: Buffer | string,
  { lengthBytes = 0, mask = [0, 0, 0, 0], first = 0x80 } = {},
): Buffer {
  const body = Buffer.from(payload)
  for (let i = 0; i < body.length; i++) body[i]! ^= mask[i & 3]!
  const length = Buffer.alloc(1 + lengthBytes)
  length[0] = 0x80 | (lengthBytes === 0 ? body.length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) length.writeUInt16BE(body.length, 1)
  if (lengthBytes === 8) length.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([Buffer.from([first | opcode]), length, Buffer.from(mask), body])
}

const closing = (code: number, reason: Buffer | string = ''): Buffer =>
  clientFrame(close, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))

/** Section 5.2: the first two bytes, the length and the mask. */
const BASE: FrameCases = {
  ...all(
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15],
    (opcode) => `the reserved opcode ${opcode}`,
    (opcode) => fails(clientFrame(opcode, PING)),
  ),
  ...all(
    [3, 11],
    (opcode) => `the reserved opcode ${opcode} without a payload`,
    (opcode) => fails(clientFrame(opcode, '')),
  ),
  ...all(
    [1, 2, 3, 4, 5, 6, 7],
    (rsv) => `the reserved bits ${rsv} of a text`,
    (rsv) => fails(clientFrame(text, PING, { rsv })),
  ),
  ...all(
    [1, 2, 3, 4, 5, 6, 7],
    (rsv) => `the reserved bits ${rsv} of a ping`,
    (rsv) => fails(clientFrame(ping, '', { rsv })),
  ),
  ...all(
    [1, 2, 4],
    (rsv) => `the reserved bits ${rsv} of a close`,
    (rsv) => fails(clientFrame(close, '', { rsv })),
  ),
  ...all(
    [1, 2, 4],
    (rsv) => `the reserved bits ${rsv} of a continuation`,
    (rsv) => fails(more(text, '{"type"'), clientFrame(continuation, ':"ping"}', { rsv })),
  ),
  ...all(
    [text, ping, pong, close],
    (opcode) => `opcode ${opcode} without a mask`,
    (opcode) => fails(clientFrame(opcode, '', { masked: false })),
  ),
  'a text with a payload without a mask': fails(clientFrame(text, PING, { masked: false })),
  'a continuation without a mask': fails(
    more(text, '{"type"'),
    clientFrame(continuation, ':"ping"}', { masked: false }),
  ),
  ...all(
    [
      [0, 0, 0, 0],
      [1, 2, 3, 4],
      [255, 255, 255, 255],
      [0x7b, 0x22, 0x74, 0x79],
    ],
    (mask) => `the mask ${mask}`,
    (mask) => understood(framed(text, PING, { mask })),
  ),
  'a length of two bytes where one would do': understood(framed(text, PING, { lengthBytes: 2 })),
  'a length of eight bytes where one would do': understood(framed(text, PING, { lengthBytes: 8 })),
  'a length whose highest bit is set': fails(Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x7b])),
  'a length of 2^63 - 1': fails(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])),
  'a ping whose length takes two bytes': fails(framed(ping, 'x', { lengthBytes: 2 })),
  ...all(
    [124, 125, 126, 127, 128, 4000],
    (size) => `a text of ${size} bytes`,
    (size) => understood(clientFrame(text, PING.padEnd(size))),
  ),
  'a frame byte by byte': { ...understood(framed(text, PING, { mask: [1, 2, 3, 4] })), byByte: true },
  'a frame with a long length byte by byte': {
    ...understood(framed(text, PING.padEnd(300), { lengthBytes: 2 })),
    byByte: true,
  },
  'a ping byte by byte': { bytes: [clientFrame(ping, 'slow')], outcome: 'open', pongs: ['slow'], byByte: true },
  'ten pings of JSON in one write': { ...understood(Buffer.concat(Array(10).fill(clientFrame(text, PING)))) },
  'an empty text': stays(clientFrame(text, '')),
}

/** Section 5.4: messages in fragments. */
const FRAGMENTS: FrameCases = {
  'two fragments': understood(more(text, '{"type"'), clientFrame(continuation, ':"ping"}')),
  'fifteen fragments of a byte': understood(
    ...[...PING].map((byte, i) => clientFrame(i === 0 ? text : continuation, byte, { fin: i === PING.length - 1 })),
  ),
  'an empty first fragment': understood(more(text, ''), clientFrame(continuation, PING)),
  'an empty last fragment': understood(more(text, PING), clientFrame(continuation, '')),
  'empty fragments between': understood(
    more(text, '{"type"'),
    more(continuation, ''),
    more(continuation, ''),
    clientFrame(continuation, ':"ping"}'),
  ),
  'only empty fragments': stays(more(text, ''), more(continuation, ''), clientFrame(continuation, '')),
  'a ping between fragments': {
    ...understood(more(text, '{"type"'), clientFrame(ping, 'a'), clientFrame(continuation, ':"ping"}')),
    pongs: ['a'],
  },
  'pings and pongs between all fragments': {
    ...understood(
      more(text, '{"ty'),
      clientFrame(ping, 'a'),
      clientFrame(pong, ''),
      more(continuation, 'pe":'),
      clientFrame(ping, 'b'),
      clientFrame(continuation, '"ping"}'),
    ),
    pongs: ['a', 'b'],
  },
  'a ping before the message is complete is answered at once': {
    bytes: [more(text, '{'), clientFrame(ping, 'now')],
    outcome: 'open',
    pongs: ['now'],
  },
  'a close between fragments': { bytes: [more(text, '{"type"'), closing(1000)], outcome: 1000 },
  'a continuation of nothing': fails(clientFrame(continuation, PING)),
  'an unfinished continuation of nothing': fails(more(continuation, '{')),
  'an empty continuation of nothing': fails(clientFrame(continuation, '')),
  'a continuation after a finished message': fails(clientFrame(text, PING), clientFrame(continuation, PING)),
  'a continuation after a finished message in fragments': fails(
    more(text, '{"type"'),
    clientFrame(continuation, ':"ping"}'),
    clientFrame(continuation, ''),
  ),
  'a text within a text': fails(more(text, '{"type"'), clientFrame(text, PING)),
  'an unfinished text within a text': fails(more(text, '{'), more(text, '{')),
  'a binary frame within a text': fails(more(text, '{"type"'), clientFrame(OPCODE.binary, 'x')),
  'a ping in fragments': fails(more(ping, 'x')),
  'a pong in fragments': fails(more(pong, 'x')),
  'a close in fragments': fails(more(close, Buffer.from([3, 232]))),
  'a reserved opcode within a text': fails(more(text, '{"type"'), clientFrame(3, 'x')),
}

/** Sections 5.5.2 and 5.5.3: pings and pongs. */
const CONTROL: FrameCases = {
  ...all(
    [0, 1, 16, 124, 125],
    (size) => `a ping of ${size} bytes`,
    (size) => ({ bytes: [clientFrame(ping, 'p'.repeat(size))], outcome: 'open', pongs: ['p'.repeat(size)] }),
  ),
  ...all(
    [126, 127, 65_535, 65_536],
    (size) => `a ping of ${size} bytes`,
    (size) => fails(clientFrame(ping, 'p'.repeat(size))),
  ),
  ...all(
    [0, 125],
    (size) => `a pong of ${size} bytes that nothing asked for`,
    (size) => stays(clientFrame(pong, 'p'.repeat(size))),
  ),
  ...all(
    [126, 65_536],
    (size) => `a pong of ${size} bytes`,
    (size) => fails(clientFrame(pong, 'p'.repeat(size))),
  ),
  'a ping of bytes that are not UTF-8': {
    bytes: [clientFrame(ping, Buffer.from([0xff, 0xfe]))],
    outcome: 'open',
    pongs: ['\ufffd\ufffd'],
  },
  'a pong of bytes that are not UTF-8': stays(clientFrame(pong, Buffer.from([0xff]))),
  'ten pings at once': {
    bytes: [Buffer.concat([...'0123456789'].map((n) => clientFrame(ping, n)))],
    outcome: 'open',
    pongs: [...'0123456789'],
  },
  'a ping with a mask': { bytes: [framed(ping, 'masked', { mask: [9, 8, 7, 6] })], outcome: 'open', pongs: ['masked'] },
}

const GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
export const BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]

/** Sections 5.5.1 and 7.4: closes. */
const CLOSES: FrameCases = {
  'a close without a code': { bytes: [clientFrame(close, '')], outcome: 0 },
  'a close of one byte': fails(clientFrame(close, 'x')),
  ...all(
    GOOD_CODES,
    (code) => `the close code ${code}`,
    (code) => ({ bytes: [closing(code)], outcome: code }),
  ),
  ...all(
    BAD_CODES,
    (code) => `the close code ${code}, which no frame may have,`,
    (code) => fails(closing(code)),
  ),
  'a close with a reason': { bytes: [closing(1000, 'done')], outcome: 1000 },
  'a close with a reason of 123 bytes': { bytes: [closing(1000, 'r'.repeat(123))], outcome: 1000 },
  'a close with a reason of 124 bytes': fails(closing(1000, 'r'.repeat(124))),
  'a close with a reason in UTF-8': { bytes: [closing(1000, 'f\u00fcr \u{1f600}')], outcome: 1000 },
  'a close whose reason is not UTF-8': fails(closing(1000, Buffer.from([0x66, 0xff]))),
  'a close whose reason ends within a character': fails(closing(1000, Buffer.from([0xe2, 0x82]))),
  'a text after a close': { bytes: [closing(1000), clientFrame(text, PING)], outcome: 1000 },
  'a ping after a close': { bytes: [Buffer.concat([closing(1000), clientFrame(ping, 'late')])], outcome: 1000 },
  'two closes': { bytes: [Buffer.concat([closing(1000), closing(1001)])], outcome: 1000 },
}

const GOOD_UTF8 = [
  'c2a2',
  'dfbf',
  'e0a080',
  'e282ac',
  'ed9fbf',
  'ee8080',
  'efbfbd',
  'efbfbf',
  'efb790',
  'f0908080',
  'f09f9880',
  'f48fbfbf',
  'f0afbfbe',
  '7f',
  'efbbbf',
]
const BAD_UTF8 = [
  '80',
  'bf',
  'c0',
  'c080',
  'c1bf',
  'c2',
  'c328',
  'e0',
  'e08080',
  'e09fbf',
  'e282',
  'e28228',
  'eda080',
  'edbfbf',
  'eda0bdedb880',
  'f0808080',
  'f08fbfbf',
  'f09f98',
  'f4908080',
  'f5808080',
  'f888808080',
  'fe',
  'ff',
  'cebae1bdb9cf83cebcceb5eda080',
]

const quoted = (hex: string) =>
  Buffer.concat([Buffer.from('{"type":"ping","x":"'), Buffer.from(hex, 'hex'), Buffer.from('"}')])

/** Section 8.1: text is UTF-8. */
const UTF8: FrameCases = {
  ...all(
    GOOD_UTF8,
    (hex) => `a text with the bytes ${hex}`,
    (hex) => understood(clientFrame(text, quoted(hex))),
  ),
  ...all(
    BAD_UTF8,
    (hex) => `a text with the bytes ${hex}, which are not UTF-8,`,
    (hex) => fails(clientFrame(text, quoted(hex))),
  ),
  ...all(
    [20, 21, 22, 23, 24],
    (at) => `a character cut by fragments at byte ${at}`,
    (at) => {
      const whole = quoted('f09f9880')
      return understood(more(text, whole.subarray(0, at)), clientFrame(continuation, whole.subarray(at)))
    },
  ),
  'a character that the last fragment does not finish': fails(
    more(text, '"a'),
    clientFrame(continuation, Buffer.from([0x22, 0xe2, 0x82])),
  ),
  'half a character in each of two messages': fails(
    clientFrame(text, Buffer.from([0x22, 0xe2, 0x82])),
    clientFrame(text, Buffer.from([0xac, 0x22])),
  ),
}

export const FRAME_CASES: FrameCases = { ...BASE, ...FRAGMENTS, ...CONTROL, ...CLOSES, ...UTF8 }
