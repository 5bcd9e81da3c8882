import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { request as encryptedRequest } from 'node:https'
import type { Config } from '../../config/table.ts'
import { refusals } from '../../contract/codes.ts'
import { respond } from '../../http/refuse.ts'
import { bracketed, localUrl, reachable } from '../../platform/address.ts'
import { askOwn } from '../../platform/own.ts'
import { tlsFiles } from '../../platform/tls.ts'
import type { TemplatedApp } from '../../platform/uws.ts'

type ListenOptions = Pick<Config, 'listenAddr' | 'tlsCert' | 'tlsKey'>

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const PATH = '/api/preflight/socket'
const HEADER = 'x-wsproxy-preflight'

/**
 * A WebSocket path that only this process can use, by a random secret. Workers have one secret,
 * since the kernel chooses which of them takes a connection. It makes a real upgrade on
 * the real listener, but has no door, takes no connection slot and is not counted.
 */
export class Loopback {
  readonly #secret: string
  readonly #host: string
  readonly #encrypted: boolean
  #port: number | undefined
  #problem = 'nothing listens yet'

  constructor({ listenAddr, tlsCert }: ListenOptions, secret = randomBytes(16).toString('hex')) {
    this.#secret = secret
    this.#host = reachable(listenAddr.host)
    this.#encrypted = tlsCert !== undefined
  }

  /** Records the port on which the app of `mount` listens. */
  listening(port: number): void {
    this.#port = port
  }

  /** Records why nothing listens, as the reason of each failing upgrade. */
  notListening(problem: string): void {
    this.#problem = problem
  }

  /** Adds the path to an app. Requests without the secret get 404. */
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

  /**
   * Makes an upgrade and closes the socket. @returns the address. @throws when no valid 101 comes
   * back.
   */
  async upgrade(signal: AbortSignal): Promise<string> {
    if (this.#port === undefined) throw new Error(this.#problem)
    const key = randomBytes(16).toString('base64')
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      [HEADER]: this.#secret,
    }
    const options = { host: this.#host, port: this.#port, path: PATH, headers, signal, agent: false as const }
    // The certificate is for the public name of the gateway.
    const sent = this.#encrypted ? encryptedRequest({ ...options, rejectUnauthorized: false }) : request(options)
    sent.end()
    const refused = once(sent, 'response').then(([response]) => {
      const { statusCode } = response as IncomingMessage
      sent.destroy()
      throw new Error(`it answered ${statusCode}`)
    })
    // On an error both promises reject; the race below reports one of them.
    refused.catch(() => {})
    const [response, socket] = await Promise.race([once(sent, 'upgrade'), refused])
    socket.destroy()
    const expected = createHash('sha1')
      .update(key + GUID)
      .digest('base64')
    if (response.headers['sec-websocket-accept'] !== expected)
      throw new Error('the Sec-WebSocket-Accept of its 101 does not match the key')
    return `${this.#encrypted ? 'wss' : 'ws'}://${bracketed(this.#host)}:${this.#port}`
  }
}

/**
 * Opens a listener where no gateway runs in this process. It listens on the configured port, which
 * proves that the port is free, or on a random port when a gateway already uses the configured one.
 * @throws when another program uses the configured port.
 */
export async function listenAlone(loopback: Loopback, options: ListenOptions): Promise<{ note: string; stop(): void }> {
  // Imported late: if the native binary cannot be loaded, a check reports it.
  const { Listeners } = await import('../../platform/uws.ts')
  const { host, port } = options.listenAddr
  const tls = tlsFiles(options)
  const listeners = new Listeners(tls)
  const app = listeners.app()
  loopback.mount(app)
  const stop = () => {
    listeners.close()
    listeners.stop()
  }
  try {
    loopback.listening(listeners.listen(app, host, port))
    return { note: 'no gateway runs here, so a temporary listener was used', stop }
  } catch (error) {
    const running = await versionAt(localUrl(host, port, tls !== undefined))
    if (running === undefined) {
      stop()
      throw error
    }
    loopback.listening(listeners.listen(app, host, 0))
    return {
      note: `wsproxy ${running} listens on port ${port}, so a temporary listener on another port was used`,
      stop,
    }
  }
}

const ASK_MS = 1000

/** The version of the gateway at an address; undefined when no gateway answers there. */
async function versionAt(address: string): Promise<string | undefined> {
  try {
    const ask = async (path: string): Promise<Record<string, unknown>> =>
      JSON.parse((await askOwn(address + path, AbortSignal.timeout(ASK_MS))).body)
    const { status, connections } = await ask('/health')
    if (typeof status !== 'string' || typeof connections !== 'number') return undefined
    return String((await ask('/version')).version ?? '')
  } catch {
    return undefined
  }
}
