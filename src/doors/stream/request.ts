import { type Refusal, refusals } from '../../contract/codes.ts'
import { isId, isOwnSegment } from '../../contract/names.ts'
import type { ClientAddress, ClientAddresses } from '../../http/client-address.ts'
import type { PathPattern } from '../../http/path.ts'
import type { HttpRequest, HttpResponse } from '../../platform/uws.ts'
import type { Asker } from './access.ts'

const HEADERS = [
  ...['authorization', 'content-type', 'cookie', 'host', 'if-none-match', 'origin', 'transfer-encoding'],
  ...['producer-epoch', 'producer-id', 'producer-seq', 'stream-closed', 'stream-expires-at', 'stream-forked-from'],
  ...['stream-seq', 'stream-ttl', 'x-forwarded-proto'],
] as const

/** A request for a stream, copied whole: uWebSockets.js uses its object again. */
export interface StreamRequest extends Asker {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly client: ClientAddress
}

/** Reads the path and the headers of a request, which must not have been awaited. */
export function copyOf(
  res: HttpResponse,
  req: HttpRequest,
  pattern: PathPattern,
  addresses: ClientAddresses,
): StreamRequest {
  const path = req.getUrl()
  const [agent = '', session = ''] = pattern.match(path) ?? []
  return {
    method: req.getMethod().toUpperCase(),
    path,
    agent,
    session,
    query: new URLSearchParams(req.getQuery() ?? ''),
    headers: Object.fromEntries(HEADERS.map((name) => [name, req.getHeader(name)])),
    client: addresses.of(res, req, performance.now()),
  }
}

/** Why the path is no stream; undefined when it is one. */
export function pathFault({ agent, session }: StreamRequest): Refusal | undefined {
  if (!isId(agent) || !isId(session)) return refusals['malformed-id']
  return isOwnSegment(agent) ? refusals['not-found'] : undefined
}
