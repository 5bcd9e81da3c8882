import { reasonOf } from '../platform/reason.ts'
import { type KeySet, keySetOf, MAX_KEY_SET_BYTES } from './keys.ts'

interface KeyUrlOptions {
  readonly url: string
  /** The longest time after which the keys are fetched again. */
  readonly maxAgeMs: number
  /** How long after a fetch for an unknown key there is no other one. */
  readonly cooldownMs: number
  /** How long the keys count while the URL is away. */
  readonly staleMs: number
}

interface KeyUrlParts {
  readonly options: KeyUrlOptions
  /** Called with the keys of each answer. */
  readonly got: (set: KeySet) => void
  /** Called for each fetch that failed; `isStale` once the former keys do not count any more. */
  readonly failed: (error: unknown, isStale: boolean) => void
}

const TIMEOUT_MS = 5000
/** The keys are not fetched more often, whatever `max-age` says. */
const MIN_AGE_MS = 60_000
const FIRST_PAUSE_MS = 1000
const ACCEPT = 'application/jwk-set+json, application/json'

/**
 * Fetches the keys of a JWKS URL: at the start, again when they are old, and when a token names a
 * key that is not among them. There is at most one fetch at a time.
 */
export class KeyUrl {
  readonly #parts: KeyUrlParts
  #flight: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** The next two in ms of `performance.now`. */
  #fetchedAt: number | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** Since the last answer. */
  #failures = 0
  #isStopped = false
  /** Why the last fetch failed. Undefined: it did not. */
  reason: string | undefined
  /** What the clock of the server has more than ours, by its last answer, within a second. */
  skewMs: number | undefined
  /** The number of fetches by their result. */
  readonly fetches = { ok: 0, failed: 0 }

  constructor(parts: KeyUrlParts) {
    this.#parts = parts
  }

  start(): void {
    void this.#refresh()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  /** Whether an unknown key may be one that could not be fetched. */
  get isAway(): boolean {
    return this.#fetchedAt === undefined || this.#failures > 0
  }

  /** The age of the keys in ms. Undefined: there was no answer yet. */
  get ageMs(): number | undefined {
    return this.#fetchedAt === undefined ? undefined : performance.now() - this.#fetchedAt
  }

  /**
   * A token names a key that is not known. Resolves after the next fetch, whatever comes of it;
   * returns undefined when the last one is too recent.
   */
  moreKeys(): Promise<void> | undefined {
    if (this.#flight) return this.#flight
    const now = performance.now()
    if (this.#isStopped || now - this.#askedAt < this.#parts.options.cooldownMs) return undefined
    this.#askedAt = now
    return this.#refresh()
  }

  #refresh(): Promise<void> {
    this.#flight ??= this.#fetch().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  async #fetch(): Promise<void> {
    const { options, got, failed } = this.#parts
    clearTimeout(this.#timer)
    let pauseMs: number
    try {
      const { set, ageMs = options.maxAgeMs, skewMs } = await fetchKeys(options.url)
      if (this.#isStopped) return
      this.#fetchedAt = performance.now()
      this.#failures = 0
      this.reason = undefined
      this.skewMs = skewMs
      this.fetches.ok++
      got(set)
      // Instances that started together spread.
      pauseMs = Math.max(MIN_AGE_MS, Math.min(ageMs, options.maxAgeMs) * (0.9 + Math.random() / 10))
    } catch (error) {
      if (this.#isStopped) return
      this.fetches.failed++
      this.reason = reasonOf(error)
      failed(error, (this.ageMs ?? 0) >= options.staleMs)
      pauseMs = Math.min(options.cooldownMs, FIRST_PAUSE_MS * 2 ** this.#failures++)
    }
    this.#timer = setTimeout(() => void this.#refresh(), pauseMs).unref()
  }
}

interface Answer {
  readonly set: KeySet
  readonly ageMs: number | undefined
  readonly skewMs: number | undefined
}

/** Asks a JWKS URL once, for a check of the settings. */
export async function askKeyUrl(url: string): Promise<Pick<KeyUrl, 'isAway' | 'reason' | 'skewMs'>> {
  try {
    const { skewMs } = await fetchKeys(url)
    return { isAway: false, reason: undefined, skewMs }
  } catch (error) {
    return { isAway: true, reason: reasonOf(error), skewMs: undefined }
  }
}

/** @throws Error that says what is wrong with the answer, or why it did not come. */
async function fetchKeys(url: string): Promise<Answer> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const response = await fetch(url, { signal, headers: { accept: ACCEPT }, redirect: 'manual' })
    try {
      if (response.status >= 300 && response.status < 400)
        throw new Error(
          `it answers ${response.status}: redirects are not followed, so set the address that they lead to`,
        )
      if (response.status !== 200) throw new Error(`it answers ${response.status}`)
      const { headers } = response
      return { set: keySetOf(await textOf(response)), ageMs: ageOf(headers), skewMs: skewOf(headers) }
    } finally {
      // An unread body would keep the connection open.
      if (response.body?.locked === false) await response.body.cancel()
    }
  } catch (error) {
    throw signal.aborted ? new Error(`no complete answer within ${TIMEOUT_MS / 1000} s`) : error
  }
}

/** The size counts after decompression. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_KEY_SET_BYTES) throw new Error(`its answer has more than ${MAX_KEY_SET_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Returns how much longer the answer may be used, or undefined when it does not say. */
function ageOf(headers: Headers): number | undefined {
  const control = headers.get('cache-control') ?? ''
  if (/\bno-(store|cache)\b/i.test(control)) return 0
  const [, seconds] = /\bmax-age="?(\d{1,9})/i.exec(control) ?? []
  return seconds === undefined ? undefined : Math.max(0, Number(seconds) - Number(headers.get('age') ?? 0)) * 1000
}

/** `Date` has whole seconds, and may be older than the moment at which the answer came. */
function skewOf(headers: Headers): number | undefined {
  const skewMs = Date.parse(headers.get('date') ?? '') - Date.now()
  return Number.isNaN(skewMs) ? undefined : skewMs + 500
}
