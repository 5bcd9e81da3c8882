import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { convert, type Kind, parseAddress } from '../../src/config/kinds.ts'
import { ConfigError, loadConfig } from '../../src/config/load.ts'
import { chosenProtocol, readCredentials } from '../../src/connection/auth.ts'
import { parseClientFrame } from '../../src/doors/live/inbound.ts'
import { messageFrom } from '../../src/doors/live/messages.ts'
import { networkOf, parseIp } from '../../src/platform/address.ts'
import { jsonFault, MAX_JSON_DEPTH } from '../../src/platform/json-scan.ts'
import { ReadBuffer } from '../../src/redis/wire/read-buffer.ts'
import { RespReader } from '../../src/redis/wire/resp.ts'
import { checkServerFrame } from '../support/contract.ts'

/** One parser under random input. `run` throws when an input shows a fault. */
export interface Target {
  /** Its corpus is `test/fixtures/corpus/<name>.txt`. */
  readonly name: string
  run(input: Buffer): void
}

/** JSON.parse is the measure of the scan, in both directions. */
function json(input: Buffer): void {
  const fault = jsonFault(input, MAX_JSON_DEPTH)
  let parses = true
  try {
    JSON.parse(input.toString('utf8'))
  } catch {
    parses = false
  }
  if (fault !== 'too-deep') assert.equal(fault === undefined, parses)
}

/**
 * A stream gives the same events however it is cut. A stream that is refused may be refused later
 * when it is cut, because the reader waits for the rest of a value.
 */
function resp(input: Buffer): void {
  const whole = eventsOf([input])
  const middle = input.length >> 1
  assertSameEvents(eventsOf([input.subarray(0, middle), input.subarray(middle)]), whole)
  if (input.length < 200) assertSameEvents(eventsOf(Array.from(input, (byte) => Buffer.from([byte]))), whole)
}

const REFUSED = 'refused'

function assertSameEvents(cut: readonly unknown[], whole: readonly unknown[]): void {
  if (cut.at(-1) !== REFUSED && whole.at(-1) !== REFUSED) return assert.deepEqual(cut, whole)
  const [some, others] = [cut, whole].map((events) => events.filter((event) => event !== REFUSED)) as [
    unknown[],
    unknown[],
  ]
  const common = Math.min(some.length, others.length)
  assert.deepEqual(some.slice(0, common), others.slice(0, common))
}

function eventsOf(chunks: readonly Buffer[]): unknown[] {
  const events: unknown[] = []
  const note = (...event: unknown[]) => void events.push(JSON.stringify(event))
  const reader = new RespReader({
    message: (wanted, payload, channel) => note(wanted, payload.toString('latin1'), channel),
    push: note,
    reply: note,
  })
  const unread = new ReadBuffer()
  try {
    for (const chunk of chunks) unread.pass(chunk, chunk.length, reader)
  } catch (error) {
    assert.ok(error instanceof Error)
    events.push(REFUSED)
  }
  return events
}

const FRAME_TYPES = ['ping', 'subscribe', 'unsubscribe', 'request_data']

function frames(input: Buffer): void {
  const parsed = parseClientFrame(input, 128)
  if (parsed.kind === 'frame') assert.ok(FRAME_TYPES.includes(parsed.frame.type))
  else assert.match(parsed.message, /^(Invalid JSON|Invalid message|Unknown message type)/)
}

/** Whatever is published, what goes out is a frame of the contract. */
function messages(input: Buffer): void {
  for (const channel of [
    'live:system',
    'live:alerts',
    'system_events',
    'agent_events:a',
    'project_index:websocket_events',
  ]) {
    const message = messageFrom(channel === 'live:alerts' ? 'alerts' : 'system', channel, input, {
      maxBytes: 1e6,
      maxDepth: 128,
    })
    if (message !== undefined) checkServerFrame(message.frame.toString())
  }
}

/** Three lines: Authorization, Sec-WebSocket-Protocol, the query. */
function credentials(input: Buffer): void {
  const [authorization = '', protocol = '', query = ''] = input.toString('latin1').split('\n')
  for (const allowed of [true, false]) {
    const read = readCredentials(
      { authorization, offered: protocol, protocol: chosenProtocol(protocol), query },
      allowed,
    )
    if (read.kind === 'credentials') assert.ok(read.token !== '' && ['', 'wsproxy.v1'].includes(read.protocol))
    else assert.match(read.code, /^credentials-(missing|malformed)$/)
  }
}

function addresses(input: Buffer): void {
  const text = input.toString('latin1')
  const ip = parseIp(text)
  if (ip !== undefined) {
    assert.notEqual(isIP(ip), 0)
    assert.equal(parseIp(ip), ip)
    assert.notEqual(networkOf(ip), '')
  }
  const address = parseAddress(text)
  if (address !== undefined) assert.ok(Number.isInteger(address.port) && address.port >= 0 && address.port <= 65_535)
}

const KINDS: readonly Kind[] = [
  'string',
  'boolean',
  'integer',
  'duration',
  'size',
  'list',
  'address',
  'redisUrl',
  'httpUrl',
]

/** One line: NAME=value. */
function settings(input: Buffer): void {
  const [name = '', ...rest] = input.toString('utf8').replaceAll('\0', '').split('=')
  const value = rest.join('=')
  for (const kind of KINDS) {
    const converted = convert(value, { kind })
    if ('value' in converted) assert.notEqual(converted.value, undefined)
    else assert.match(converted.problem, /^must be /)
    if ('value' in converted && typeof converted.value === 'number') assert.ok(Number.isFinite(converted.value))
  }
  // A name with _FILE would read a file.
  if (!/^[A-Z][A-Z_]*$/.test(name) || name.endsWith('_FILE')) return
  try {
    loadConfig({ [name]: value })
  } catch (error) {
    assert.ok(error instanceof ConfigError && error.problems.every((problem) => problem !== ''))
  }
}

export const TARGETS: readonly Target[] = [
  { name: 'json', run: json },
  { name: 'resp', run: resp },
  { name: 'frames', run: frames },
  { name: 'messages', run: messages },
  { name: 'credentials', run: credentials },
  { name: 'addresses', run: addresses },
  { name: 'settings', run: settings },
]
