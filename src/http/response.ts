import { redactIn } from '../platform/redact.ts'

/** What an endpoint answers. */
export interface ApiResponse {
  readonly status: string
  /** '': no Content-Type. */
  readonly type: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Lines of `Set-Cookie`. */
  readonly cookies?: readonly string[]
}

/** On every answer: a browser must not guess another type from the body. */
export const NOSNIFF = { 'X-Content-Type-Options': 'nosniff' } as const

/** An answer in JSON. An error of a check or of Redis may quote a secret: it is replaced. */
export const json = (status: string, body: object, headers?: ApiResponse['headers']): ApiResponse => ({
  status,
  type: 'application/json',
  body: JSON.stringify(redactIn(body)),
  ...(headers && { headers }),
})
