import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Address } from '../../config/kinds.ts'
import { refusals } from '../../contract/codes.ts'
import { respond } from '../../http/refuse.ts'
import type { TemplatedApp } from '../../platform/uws.ts'

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const PATH = '/api/preflight/socket'
const HEADER = 'x-wsproxy-preflight'

/** A WebSocket path for nobody but this process: a real upgrade on the real listener, without a door, a place, or a count. */
export class Loopback {
  readonly #secret = randomBytes(16).toString('hex')
  readonly #host: string
  /** Set by who listens. */
  port: number | undefined
  /** Why nothing listens, where that is known. */
  problem: string | undefined

  constructor({ host }: Address) {
    this.#host = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  }

  /** Puts the path on an app; everybody else is told that there is none. */
  mount(app: TemplatedApp): void {
    app.ws(PATH, {
      maxPayloadLength: 64,
      upgrade: (res, req, context) => {
        const header = (name: string) => req.getHeader(name)
        if (header(HEADER) === this.#secret) res.upgrade({}, header('sec-websocket-key'), '', '', context)
        else respond(res, refusals['not-found'])
      },
      open: (ws) => ws.end(1000),
    })
  }

  /** Upgrades, and lets the socket go. @returns the address. @throws when the answer is not the 101 that belongs to the question. */
  async upgrade(signal: AbortSignal): Promise<string> {
    if (this.port === undefined) throw new Error(this.problem ?? 'nothing listens yet')
    const key = randomBytes(16).toString('base64')
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      [HEADER]: this.#secret,
    }
    const asked = request({ host: this.#host, port: this.port, path: PATH, headers, signal, agent: false })
    asked.end()
    const refused = once(asked, 'response').then(([response]) => {
      const { statusCode } = response as IncomingMessage
      asked.destroy()
      throw new Error(`it answered ${statusCode}`)
    })
    // `once` rejects both on an error; one of them is enough.
    refused.catch(() => {})
    const [response, socket] = await Promise.race([once(asked, 'upgrade'), refused])
    socket.destroy()
    const expected = createHash('sha1')
      .update(key + GUID)
      .digest('base64')
    if (response.headers['sec-websocket-accept'] !== expected)
      throw new Error('its 101 does not belong to the question')
    return `ws://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${this.port}`
  }
}

/**
 * A listener of its own, for when no gateway runs: on the port of the settings, which proves that it is free, or, when a gateway has that
 * one, on another. @throws when something else has it.
 */
export async function listenAlone(
  loopback: Loopback,
  { host, port }: Address,
): Promise<{ note: string; stop(): void }> {
  // Not before: where it cannot be loaded, a check says so.
  const { Listeners } = await import('../../platform/uws.ts')
  const listeners = new Listeners()
  const app = listeners.app()
  loopback.mount(app)
  const stop = () => {
    listeners.close()
    listeners.stop()
  }
  try {
    loopback.port = listeners.listen(app, host, port)
    return { note: 'no gateway runs here: an own listener was used', stop }
  } catch (error) {
    const shown = host.includes(':') ? `[${host}]` : host
    const running = await versionAt(
      `http://${host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : shown}:${port}`,
    )
    if (running === undefined) {
      stop()
      throw error
    }
    loopback.port = listeners.listen(app, host, 0)
    return { note: `wsproxy ${running} already listens on port ${port}: an own listener on another was used`, stop }
  }
}

const ASK_MS = 1000

/** The version of the gateway at an address; undefined when there is none. */
async function versionAt(address: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${address}/health`, { signal: AbortSignal.timeout(ASK_MS) })
    const { status, connections } = (await response.json()) as Record<string, unknown>
    if (typeof status !== 'string' || typeof connections !== 'number') return undefined
    const version = (await (await fetch(`${address}/version`, { signal: AbortSignal.timeout(ASK_MS) })).json()) as {
      version?: string
    }
    return version.version ?? ''
  } catch {
    return undefined
  }
}
