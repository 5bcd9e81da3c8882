import assert from 'node:assert/strict'
import type { TestGateway } from './gateway.ts'
import { RawSocket, upgradeRequest } from './raw.ts'
import { type Answer, ask } from './wire.ts'

export type HeaderFields = Record<string, string | undefined>

/** What a refusal must look like. */
export interface Expected {
  readonly status: number
  readonly code: string
  readonly headers?: Readonly<Record<string, string>>
  readonly retryAfter?: boolean
}

export const REFUSED = {
  malformedId: { status: 400, code: 'malformed-id' },
  malformedRequest: { status: 400, code: 'malformed-request' },
  credentialsMissing: { status: 401, code: 'credentials-missing', headers: { 'www-authenticate': 'Bearer' } },
  tokenRejected: { status: 403, code: 'token-rejected' },
  origin: { status: 403, code: 'origin-not-allowed' },
  method: { status: 405, code: 'method-not-allowed', headers: { allow: 'GET' } },
  upgradeRequired: { status: 426, code: 'upgrade-required', headers: { upgrade: 'websocket' } },
  version: {
    status: 426,
    code: 'unsupported-version',
    headers: { upgrade: 'websocket', 'sec-websocket-version': '13' },
  },
  connectRate: { status: 429, code: 'connect-rate', retryAfter: true },
  addressLimit: { status: 429, code: 'address-limit', retryAfter: true },
  internal: { status: 500, code: 'internal-error' },
  forbidden: { status: 403, code: 'forbidden' },
  redisUnavailable: { status: 503, code: 'redis-unavailable', retryAfter: true },
  atCapacity: { status: 503, code: 'at-capacity', retryAfter: true },
  draining: { status: 503, code: 'draining', retryAfter: true },
  redisTimeout: { status: 504, code: 'redis-timeout' },
} satisfies Record<string, Expected>

export function assertRefusal(answer: Answer, { status, code, headers = {}, retryAfter = false }: Expected): void {
  assert.deepEqual([answer.status, JSON.parse(answer.body).error?.code], [status, code])
  const { error, ...rest } = JSON.parse(answer.body)
  assert.deepEqual(rest, {})
  assert.deepEqual(Object.keys(error), ['code', 'message'])
  assert.ok(error.message.length > 0)
  assert.equal(answer.headers['content-type'], 'application/json')
  for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value, name)
  if (retryAfter) assert.match(answer.headers['retry-after'] ?? '', /^[1-9]\d*$/)
  else assert.equal(answer.headers['retry-after'], undefined)
}

export const counted = (gateway: TestGateway, result: string) =>
  gateway.metric('wsproxy_connections_total', { door: 'session', result })

/** Expects this refusal of a request, the connection closed behind it, and one count of it. */
export async function assertRefused(gateway: TestGateway, request: string | Buffer, expected: Expected): Promise<void> {
  const before = await counted(gateway, expected.code)
  assertRefusal(await ask(gateway.http, request), expected)
  assert.equal((await counted(gateway, expected.code)) - before, 1, `wsproxy_connections_total ${expected.code}`)
}

export const withToken = (token: string, headers: HeaderFields = {}): HeaderFields => ({
  Authorization: `Bearer ${token}`,
  ...headers,
})

/** Sends an upgrade with a valid token and does not wait for the answer. */
export async function knock(gateway: TestGateway, session: string, headers: HeaderFields = {}): Promise<RawSocket> {
  const token = await gateway.token(session)
  const raw = await RawSocket.open(gateway.http)
  raw.write(upgradeRequest(`/agent-1/ws/${session}`, withToken(token, headers)))
  return raw
}
