import { jsonFault } from '../platform/json-scan.ts'
import type { HttpResponse } from '../platform/uws.ts'

/** The body of a request: how it is read, and checked. */

/** An endpoint throws this to answer 400 with this message, and with the field that is wrong. */
export class BadRequest extends Error {
  readonly field: string | undefined

  constructor(message: string, field?: string) {
    super(message)
    this.field = field
  }
}

/** Of a route that sets no other limit. */
export const MAX_BODY_BYTES = 64 * 1024
/** A body that is too large is read on, up to so many times the limit, and dropped. */
const DROPPED_FACTOR = 16

/** The endpoints that parse a body expect flat objects. */
const MAX_BODY_DEPTH = 32

interface WithBody {
  readonly body: Buffer
}

/** Checks that the body is JSON of at most this depth, without parsing it. @throws BadRequest */
export function checkJson({ body }: WithBody, maxDepth: number): void {
  const fault = jsonFault(body, maxDepth)
  if (fault === 'too-deep') throw new BadRequest(`The body is nested deeper than ${maxDepth} levels.`)
  if (fault !== undefined) throw new BadRequest('The body is not JSON.')
}

/** Parses the body as JSON. @throws BadRequest when it is not JSON, or nested deeper than 32. */
export function parseJson(request: WithBody): unknown {
  checkJson(request, MAX_BODY_DEPTH)
  return JSON.parse(request.body.toString('utf8'))
}

/** Resolves with undefined when the body is larger than `maxBytes`, or the client has gone. */
export function readBody(
  res: HttpResponse,
  maxBytes: number,
  onGone: (stop: () => void) => void,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    onGone(() => resolve(undefined))
    res.onData((chunk, isLast) => {
      bytes += chunk.byteLength
      // A client sees no answer that comes before it has sent its body, so some of it is dropped.
      if (bytes > maxBytes) {
        chunks.length = 0
        if (isLast || bytes > maxBytes * DROPPED_FACTOR) resolve(undefined)
        return
      }
      // uWebSockets.js owns the chunk, which is only valid during the call.
      chunks.push(Buffer.from(chunk.slice(0)))
      if (isLast) resolve(Buffer.concat(chunks))
    })
  })
}
