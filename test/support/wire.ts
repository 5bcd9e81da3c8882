import { sessionDown } from '../../src/contract/names.ts'
import type { TestGateway } from './gateway.ts'
import { RawSocket, upgradeRequest } from './raw.ts'
import { eventually } from './wait.ts'

/** An HTTP answer, read until its connection closed. */
export interface Answer {
  readonly status: number
  /** Keys are lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends the bytes of a request and reads until the server closes. @throws when it does not. */
export async function ask(url: string, request: string | Buffer): Promise<Answer> {
  const raw = await RawSocket.open(url)
  raw.write(request)
  await raw.untilClosed()
  return answerOf(raw)
}

export function answerOf(raw: RawSocket): Answer {
  const [head = '', ...rest] = raw.text.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  const headers = lines.map((each): [string, string] => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()]
  })
  return { status: Number(line.split(' ')[1] ?? 0), headers: Object.fromEntries(headers), body: rest.join('\r\n\r\n') }
}

/** One frame of the server. */
export interface Frame {
  readonly opcode: number
  /** Whether the payload is compressed (RFC 7692). */
  readonly compressed: boolean
  readonly payload: Buffer
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** The complete frames that came after the 101. */
export function framesOf(raw: RawSocket): Frame[] {
  const frames: Frame[] = []
  let at = raw.received.indexOf('\r\n\r\n') + 4
  const bytes = raw.received
  while (at + 2 <= bytes.length) {
    const short = bytes[at + 1]! & 127
    const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
    if (start > bytes.length) break
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    if (start + length > bytes.length) break
    frames.push({
      opcode: bytes[at]! & 15,
      compressed: (bytes[at]! & 64) !== 0,
      payload: bytes.subarray(start, start + length),
    })
    at = start + length
  }
  return frames
}

/** The code of the close frame; undefined before it has come. */
export function closeOf(raw: RawSocket): number | undefined {
  return framesOf(raw)
    .find(({ opcode }) => opcode === OPCODE.close)
    ?.payload.readUInt16BE(0)
}

/** Stores a token, upgrades over a raw socket, and waits for the 101. */
export async function joinRaw(gateway: TestGateway, session: string): Promise<RawSocket> {
  const token = await gateway.token(session)
  const raw = await RawSocket.open(gateway.http)
  raw.write(upgradeRequest(`/agent-1/ws/${session}`, { Authorization: `Bearer ${token}` }))
  if ((await raw.status()) !== 101) throw new Error(`not upgraded: ${raw.text}`)
  return raw
}

/** Waits until the session door has `count` open sockets. */
export async function untilOpen(gateway: TestGateway, count: number): Promise<void> {
  let open: number | undefined
  const look = async () => {
    open = await gateway.metric('wsproxy_active_connections', { door: 'session' })
    return open === count
  }
  await eventually(look, `${count} open sockets`).catch((error: Error) => {
    throw new Error(`${error.message}; there are ${open}`)
  })
}

/** Publishes to a session's clients without waiting for Redis. */
export const publish = (gateway: TestGateway, session: string, message: string | Buffer): void =>
  void gateway.agent.publish(sessionDown(session), message as string).catch((error: Error) => {
    // A Redis that the test has stopped loses the message. Any other error fails the test.
    if (gateway.agent.isReady) throw error
  })

/** The number of Redis connections that are subscribed to a channel. */
export async function listeners(gateway: TestGateway, channel: string): Promise<number> {
  const counts = await gateway.agent.pubSubNumSub([channel])
  return Number(Object.values(counts)[0])
}
