import { type ClientOptions, WebSocket } from 'ws'
import { checkServerFrame, isLive } from './contract.ts'
import { eventually, within } from './wait.ts'

/** Options of ws, a bearer token for the Authorization header, and subprotocols. */
export type ConnectClientOptions = ClientOptions & { token?: string; protocols?: string[] }

/** The answer that came instead of a 101. */
export interface Refused {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly code: string
  readonly message: string
}

/** A WebSocket client that keeps every frame that it receives. */
export class TestClient {
  readonly socket: WebSocket
  /** Frames in order of arrival; binary ones as Buffers. */
  readonly frames: (string | Buffer)[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  /** The close code; undefined while the socket is open. */
  code: number | undefined

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, isBinary) => this.frames.push(isBinary ? data : data.toString()))
    if (isLive(socket.url)) socket.on('message', (data) => checkServerFrame(String(data)))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => {
        this.code = code
        resolve({ code, reason: reason.toString() })
      }),
    )
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** All frames, parsed as JSON. */
  get values(): Record<string, unknown>[] {
    return this.frames.map((frame) => JSON.parse(String(frame)))
  }

  /** Waits for the first `count` frames. @throws when the socket closes before. */
  async take(count: number): Promise<(string | Buffer)[]> {
    await eventually(() => this.frames.length >= count || this.code !== undefined, `${count} frames`).catch(
      (error: Error) => {
        const last = String(this.frames.at(-1)).slice(0, 200)
        throw new Error(`${error.message}: ${this.frames.length} came, the last one ${last}`)
      },
    )
    if (this.frames.length < count)
      throw new Error(`closed with ${this.code} after ${this.frames.length} of ${count} frames`)
    return this.frames.slice(0, count)
  }

  /** Waits for the first frame that has these members. */
  async find(members: Record<string, unknown>): Promise<Record<string, unknown>> {
    const matches = (value: Record<string, unknown>) =>
      Object.entries(members).every(([key, each]) => value[key] === each)
    return eventually(() => this.values.find(matches), `a frame with ${JSON.stringify(members)}`)
  }

  async close(): Promise<void> {
    this.socket.close()
    await within(this.closed, 'the close')
  }
}

/** Connects. @throws RefusedError when the upgrade is refused. */
export async function connect(
  url: string,
  { token, protocols = [], ...options }: ConnectClientOptions = {},
): Promise<TestClient> {
  const headers = { ...(token !== undefined && { Authorization: `Bearer ${token}` }), ...options.headers }
  const socket = new WebSocket(url, protocols, { ...options, headers })
  const client = new TestClient(socket)
  await within(
    new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
      socket.once('unexpected-response', (_, response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () => {
          const { code, message } = JSON.parse(body).error
          reject(new RefusedError({ status: response.statusCode ?? 0, headers: response.headers, code, message }))
        })
      })
    }),
    `the upgrade of ${url}`,
  )
  return client
}

export class RefusedError extends Error {
  readonly refused: Refused
  constructor(refused: Refused) {
    super(`refused: ${refused.status} ${refused.code}`)
    this.refused = refused
  }
}

/** Expects an upgrade to be refused and returns the refusal. @throws when it is accepted. */
export async function refused(url: string, options: ConnectClientOptions = {}): Promise<Refused> {
  const client = await connect(url, options).catch((error: unknown) => error)
  if (client instanceof RefusedError) return client.refused
  if (client instanceof TestClient) client.socket.terminate()
  throw client instanceof Error ? client : new Error(`${url} was not refused`)
}
