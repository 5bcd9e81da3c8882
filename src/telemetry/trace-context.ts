/** What a span needs of another one to link to it: the context of W3C Trace Context. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
  readonly isRemote?: boolean
}
