import { once } from 'node:events'
import { type IncomingMessage, request as plain } from 'node:http'
import { request as encrypted } from 'node:https'

/**
 * Gets a page of the gateway of this machine. Its certificate is for its public name, so it is not
 * verified. @throws when no answer comes before the signal.
 */
export async function askOwn(
  address: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; body: string }> {
  const sent = address.startsWith('https:')
    ? encrypted(address, { rejectUnauthorized: false, agent: false, signal, headers })
    : plain(address, { agent: false, signal, headers })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}
