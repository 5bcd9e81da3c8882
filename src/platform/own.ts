import { once } from 'node:events'
import { type IncomingMessage, request as plain } from 'node:http'
import { request as encrypted } from 'node:https'

/** What is sent to the gateway of this machine. */
export interface OwnRequest {
  /** Default: GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/**
 * Asks the gateway of this machine. Its certificate is for its public name, so it is not verified.
 * @throws when no answer comes before the signal.
 */
export async function askOwn(
  address: string,
  signal: AbortSignal,
  { method = 'GET', headers = {}, body }: OwnRequest = {},
): Promise<{ status: number; body: string }> {
  const options = { method, headers, agent: false, signal } as const
  const sent = address.startsWith('https:')
    ? encrypted(address, { ...options, rejectUnauthorized: false })
    : plain(address, options)
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}
