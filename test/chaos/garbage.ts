import { clientFrame, upgradeRequest } from '../support/raw.ts'
import type { Random } from './random.ts'

/** What one connection sends: chunks, one after the other, and how it goes away. */
export interface Garbage {
  readonly kind: string
  /** A good request, to be answered before the rest is sent. */
  readonly request: Buffer | undefined
  readonly chunks: readonly Buffer[]
  readonly end: 'fin' | 'reset'
}

type Make = (random: Random, path: string) => Buffer

const HEADERS = [
  'Host',
  'Upgrade',
  'Connection',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Version',
  'Origin',
  'Authorization',
]
const ODD = [
  '',
  ' ',
  '\0',
  'websocket, x',
  '13\r\n 13',
  '-1',
  '%00',
  '\u00ff'.repeat(200),
  'a'.repeat(4000),
  ',,,,',
  ':',
  '"',
  '0',
]

/** Upgrade requests that are wrong in some way. */
const REQUESTS: Readonly<Record<string, Make>> = {
  noise: (random) => random.bytes(random.int(1, 600)),
  mutated: (random, path) => mutate(random, Buffer.from(upgradeRequest(path))),
  cut: (random, path) => {
    const whole = Buffer.from(upgradeRequest(path))
    return whole.subarray(0, random.int(1, whole.length - 1))
  },
  'odd header': (random, path) => Buffer.from(upgradeRequest(path, { [random.pick(HEADERS)]: random.pick(ODD) })),
  'odd path': (random) => Buffer.from(upgradeRequest(`/${oddPath(random)}`)),
  'odd line': (random, path) => {
    const method = random.pick(['POST', 'PRI', 'get', 'CONNECT', 'X'.repeat(300)])
    return Buffer.from(
      upgradeRequest(path, {}, `${method} ${path} HTTP/${random.pick(['1.0', '2.0', '1.1', '9', ''])}`),
    )
  },
  'many headers': (random, path) => {
    const headers = Array.from({ length: random.int(40, 400) }, (_, i) => [`X-${i}`, 'y'.repeat(random.int(0, 90))])
    return Buffer.from(upgradeRequest(path, Object.fromEntries(headers)))
  },
  pipelined: (random, path) => Buffer.from(upgradeRequest(path).repeat(random.int(2, 5))),
  'with a body': (random, path) =>
    Buffer.concat([Buffer.from(upgradeRequest(path, { 'Content-Length': '50' })), random.bytes(random.int(0, 80))]),
}

/** Frames that a client must not send, or that are at the edge of what it may. */
const FRAMES: Readonly<Record<string, Make>> = {
  noise: (random) => random.bytes(random.int(1, 400)),
  'any opcode': (random) => clientFrame(random.int(0, 15), random.bytes(random.int(0, 200))),
  'reserved bits': (random) => clientFrame(random.int(0, 15), random.bytes(20), { rsv: random.int(1, 7) }),
  unmasked: (random) => clientFrame(1, '{}', { masked: false, fin: random.chance(0.5) }),
  'huge control': (random) => clientFrame(random.int(8, 10), random.bytes(random.int(126, 300))),
  'fragmented control': (random) => clientFrame(random.int(8, 10), 'x', { fin: false }),
  'no end': (random) =>
    Buffer.concat(
      Array.from({ length: random.int(1, 50) }, (_, i) => clientFrame(i === 0 ? 1 : 0, 'x', { fin: false })),
    ),
  'not UTF-8': (random) => clientFrame(1, random.bytes(random.int(1, 300))),
  'bad close': (random) => clientFrame(8, random.bytes(random.int(1, 20))),
  'announces much': (random) => {
    const header = Buffer.alloc(14, 0)
    header.set([0x80 | random.int(0, 2), 0xff])
    header.writeBigUInt64BE(BigInt(random.int(0, 2 ** 31)) * BigInt(random.int(1, 2 ** 32)), 2)
    return Buffer.concat([header, random.bytes(random.int(0, 100))])
  },
  'deep JSON': (random) => clientFrame(1, random.pick(['[', '{"a":']).repeat(random.int(1000, 9000))),
  'odd JSON': (random) =>
    clientFrame(
      1,
      random.pick([
        'null',
        '"x"',
        '1e999',
        '{"type":[]}',
        '{"__proto__":{"type":"ping"}}',
        '{"type":"init"}',
        '\ufeff{}',
        '',
      ]),
    ),
  large: (random) => clientFrame(1, Buffer.alloc(random.int(60, 80) * 1024, '"')),
  pings: (random) => Buffer.concat(Array.from({ length: random.int(1, 60) }, () => clientFrame(9, random.bytes(20)))),
}

/** The next input: a bad request, or a good one with bad frames behind it. */
export function garbage(random: Random, door: string): Garbage {
  const frames = random.chance(0.5)
  const table = frames ? FRAMES : REQUESTS
  const names = frames
    ? Array.from({ length: random.int(1, 3) }, () => random.pick(Object.keys(table)))
    : [random.pick(Object.keys(table))]
  const bytes = Buffer.concat(names.map((name) => table[name]!(random, door)))
  const at = random.int(0, bytes.length)
  const chunks = random.chance(0.3) ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes]
  const request = frames ? Buffer.from(upgradeRequest(door)) : undefined
  const kind = `${frames ? 'frames' : 'request'}: ${names.join(', ')}`
  return { kind, request, chunks, end: random.chance(0.8) ? 'fin' : 'reset' }
}

function mutate(random: Random, bytes: Buffer): Buffer {
  for (let i = random.int(1, 8); i > 0; i--) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255)
  return bytes
}

const oddPath = (random: Random): string =>
  random.pick([
    '../..',
    '//',
    'a/ws/',
    'a/ws/%2e%2e',
    'a/ws/s*',
    'a/ws/s:auth',
    '%',
    '?',
    '#',
    ';'.repeat(129),
    '\u00e9',
    'metrics',
  ])
