import type { IncomingMessage } from 'node:http'
import { closes, finalCloses } from '../contract/codes.ts'
import { reasonOf } from '../platform/reason.ts'

/** How one connection of a client ended. */
export type Ending = {
  /** What happened, in one line. */
  readonly text: string
  /** What the user can do about it, with an arrow before it; empty: nothing. */
  readonly advice: string
  /** The time in ms after which the server wants the client back. */
  readonly afterMs?: number | undefined
} & (
  | { readonly kind: 'closed'; readonly code: number }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'failed' }
)

/** After these a second attempt would end the same way; after 4401 a new token may help. */
const FINAL_CLOSES: ReadonlySet<number> = new Set([...finalCloses(), closes.notAuthorised.code])

/** Whether a second attempt can succeed without a change by the user. */
export function mayReconnect(ending: Ending): boolean {
  if (ending.kind === 'closed') return !FINAL_CLOSES.has(ending.code)
  return ending.kind === 'failed' || ending.status === 429 || ending.status >= 500
}

/** The time in ms after which the server wants the client back, from a frame of its goodbye. */
export function hintOf(frame: string): number | undefined {
  if (!frame.includes('reconnect_after_ms')) return undefined
  try {
    const { type, command, reconnect_after_ms: afterMs } = JSON.parse(frame) as Record<string, unknown>
    const isGoodbye = (type === 'control' && command === 'goodbye') || type === 'disconnect_notice'
    return isGoodbye && typeof afterMs === 'number' && afterMs >= 0 ? afterMs : undefined
  } catch {
    return undefined
  }
}

/** The `retry=<ms>` at the end of a close reason; undefined without one. */
function retryOf(reason: string): number | undefined {
  const [, ms] = / retry=(\d+)$/.exec(reason) ?? []
  return ms === undefined ? undefined : Number(ms)
}

/** Reads the refusal of an upgrade, and adds what the user can do about it. */
export async function refusalOf(response: IncomingMessage, url: URL): Promise<Ending> {
  let body = ''
  for await (const chunk of response) body += chunk
  const wait = response.headers['retry-after']
  const after = wait === undefined ? '' : ` (Retry-After: ${wait})`
  const [, code = ''] = /"code":"([\w-]+)"/.exec(body) ?? []
  const text = `refused: ${response.statusCode} ${response.statusMessage}${after} ${body}`
  const afterMs = wait === undefined || Number.isNaN(Number(wait)) ? undefined : Number(wait) * 1000
  return { kind: 'refused', status: response.statusCode ?? 0, text, afterMs, advice: hint(adviceFor(code, url)) }
}

/** An error before the upgrade was answered. */
export function failureOf(error: Error & { code?: string }, url: URL): Ending {
  const text = reasonOf(error)
  return { kind: 'failed', text, advice: hint(adviceForError(`${text} ${error.code ?? ''}`, url)) }
}

/** A close frame, or the end of the TCP connection (1006). */
export function closeOf(code: number, reason: string, hintMs: number | undefined, url: URL): Ending {
  const text = `closed: ${code}${reason && ` ${reason}`}`
  return { kind: 'closed', code, text, advice: adviceForClose(code, reason, url), afterMs: hintMs ?? retryOf(reason) }
}

const DISCONNECTED = 'an operator has disconnected this client, or the gateway lost its right to the channel'

function adviceForClose(code: number, reason: string, url: URL): string {
  const [word = ''] = reason.split(' ')
  if (code === 4401) return hint(adviceFor('token-rejected', url))
  // The live door closes with `forbidden` for an origin, too.
  if (code === 4403 && word === 'forbidden')
    return hint(url.pathname === '/live' ? `${adviceFor('origin-not-allowed', url)}. Or ${DISCONNECTED}` : DISCONNECTED)
  if (code === 1009) return hint('the limit of a frame is MAX_MESSAGE_SIZE of the gateway')
  if (code === 4408) return hint('the gateway heard no answer to its pings')
  return hint(adviceFor(word, url))
}

const hint = (advice: string | undefined): string => (advice === undefined ? '' : ` -> ${advice}`)

function adviceForError(text: string, { protocol, host }: URL): string | undefined {
  if (text.includes('ECONNREFUSED')) return `no server listens at ${host}: start the gateway with "wsproxy serve"`
  if (/EPROTO|wrong version number|packet length too long/i.test(text)) return 'the server has no TLS there: use ws://'
  if (protocol === 'ws:' && /hang up|ECONNRESET/.test(text)) return 'a server with TLS needs wss://'
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'correct the host name'
  return undefined
}

function adviceFor(code: string, url: URL): string | undefined {
  const session = sessionOf(url)
  const make = session === undefined ? '' : `, or --create-token; "wsproxy token create ${session}" prints one`
  switch (code) {
    case 'credentials-missing':
    case 'credentials-malformed':
      return `give a token with --token or WSPROXY_TOKEN${make}`
    case 'token-rejected':
      return session === undefined
        ? 'give the right token with --token or WSPROXY_TOKEN'
        : `a token works once and expires: give --create-token, or make another with "wsproxy token create ${session}"; ` +
            `"wsproxy token sign --session ${session}" signs a JWT`
    case 'origin-not-allowed':
      return 'give --origin with an origin of ALLOWED_ORIGINS (at the live door WS_ALLOWED_ORIGINS, where it is set), or add yours to that setting'
    case 'not-found':
    case 'malformed-id':
      return 'the doors are /{agent}/ws/{session}, /{run} and /live'
    case 'redis-unavailable':
    case 'redis-timeout':
      return '"wsproxy doctor" shows why; --reconnect tries again'
    case 'draining':
    case 'connect-rate':
    case 'address-limit':
    case 'at-capacity':
      return '--reconnect tries again'
    case 'forbidden':
      return '"wsproxy redis acl" prints the rights that the Redis user of the gateway needs'
    default:
      return undefined
  }
}

/** The session id in the path of a session door; undefined for another door. */
export function sessionOf({ pathname }: URL): string | undefined {
  const [, id] = /^\/[^/]+\/ws\/([^/]+)\/?$/.exec(pathname) ?? []
  try {
    return id === undefined ? undefined : decodeURIComponent(id)
  } catch {
    return undefined
  }
}
