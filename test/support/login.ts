import { once } from 'node:events'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { Passwords } from '../../src/login/passwords.ts'
import { RedisUsers, type User } from '../../src/redis/users.ts'
import type { TestGateway } from './gateway.ts'

/** The settings of a gateway at which users log in. */
export const LOGIN_ENV = { AUTH_LOGIN: 'true', AUTH_JWT_SECRET: 'a-secret-of-a-test-of-32-bytes-and-more' }
export const PASSWORD = 'a fine pass word'

/** An answer of the HTTP API. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read any member of a body.
  readonly body: any
}

let calls = 0
const address = () => `198.51.${++calls >> 8}.${calls & 255}`

/** Node's own client: fetch sets some of the headers that a browser sends. */
async function ask(url: string, options: RequestOptions, body?: string): Promise<Answer> {
  const sent = request(url, { agent: false, ...options })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const text = Buffer.concat((await response.toArray()) as Buffer[]).toString()
  const headers = new Headers()
  for (const [name, value = []] of Object.entries(response.headers))
    for (const each of [value].flat()) headers.append(name, each)
  const isJson = headers.get('content-type')?.includes('json') === true
  return { status: response.statusCode!, headers, body: isJson ? JSON.parse(text) : text }
}

export const post = (
  { http }: Pick<TestGateway, 'http'>,
  path: string,
  body: unknown = {},
  headers: Record<string, string> = {},
): Promise<Answer> =>
  ask(
    http + path,
    {
      method: 'POST',
      // Each call from an address of its own, where the gateway trusts the header.
      headers: { 'content-type': 'application/json', 'x-forwarded-for': address(), ...headers },
    },
    typeof body === 'string' ? body : JSON.stringify(body),
  )

export const get = (
  { http }: Pick<TestGateway, 'http'>,
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer> => ask(http + path, { headers })

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** Adds a user with `PASSWORD`, as the command does. */
export async function addUser({ agent }: Pick<TestGateway, 'agent'>, email: string, role: User['role'] = 'viewer') {
  const users = new RedisUsers((_, args) => agent.sendCommand([...args]))
  hash ??= await (await Passwords.load()).hash(PASSWORD)
  return (await users.add({ email, fullName: 'Ada L.', role, password: hash }))!
}
let hash: string | undefined
