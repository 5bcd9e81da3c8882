import type { ApiResponse } from '../../http/response.ts'
import { empty } from './answer.ts'

type Headers = Readonly<Record<string, string>>

const ALLOWED =
  'Authorization, Content-Type, If-None-Match, Producer-Epoch, Producer-Id, Producer-Seq, Stream-Closed, ' +
  'Stream-Expires-At, Stream-Seq, Stream-TTL'
const EXPOSED =
  'ETag, Location, Producer-Epoch, Producer-Expected-Seq, Producer-Received-Seq, Producer-Seq, Stream-Closed, ' +
  'Stream-Cursor, Stream-Expires-At, Stream-Next-Offset, Stream-SSE-Data-Encoding, Stream-TTL, Stream-Up-To-Date'
const PREFLIGHT_S = '600'

/** A page of another origin embeds no answer without asking for it by CORS. */
const ALWAYS: Headers = { 'Cross-Origin-Resource-Policy': 'same-origin', Vary: 'Origin' }

/** The headers with which a page of an allowed origin may read an answer. */
export function corsOf(origin: string): Headers {
  if (origin === '') return ALWAYS
  return { ...ALWAYS, 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSED }
}

export const preflight = (methods: string): ApiResponse =>
  empty('204 No Content', {
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': ALLOWED,
    'Access-Control-Max-Age': PREFLIGHT_S,
  })
