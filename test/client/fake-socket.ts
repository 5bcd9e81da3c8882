import { mock } from 'node:test'
import type { Socket } from '../../client/src/index.ts'

/** A WebSocket without a network: the test opens it, speaks for the server, and closes it. */
export class FakeSocket implements Socket {
  /** All that were made, in order. */
  static made: FakeSocket[] = []
  readonly url: string
  readonly protocols: readonly string[]
  readonly sent: string[] = []
  /** What the client closed it with. */
  closed: number | undefined
  binaryType = ''
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  onerror: Socket['onerror'] = null

  constructor(url: string, protocols: string[]) {
    this.url = url
    this.protocols = protocols
    FakeSocket.made.push(this)
  }

  static get last(): FakeSocket {
    return FakeSocket.made.at(-1)!
  }

  send(text: string): void {
    this.sent.push(text)
  }

  close(code = 1005): void {
    this.closed = code
  }

  open(): this {
    this.onopen?.({})
    return this
  }

  say(...frames: readonly (string | object)[]): void {
    for (const frame of frames) this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }

  end(code: number, reason = ''): void {
    this.onclose?.({ code, reason })
  }
}

/** Lets promises that are settled run on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

/** Lets time pass, with the promises that follow from it. */
export async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms)
  await settle()
}

/** Replaces the clock and chance: every random pause is `share` of its limit. */
export function freezeTime(share = 1): void {
  FakeSocket.made = []
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  mock.method(Math, 'random', () => share)
}
