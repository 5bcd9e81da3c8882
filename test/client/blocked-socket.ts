import type { Socket } from '../../client/src/index.ts'

/** A WebSocket of a network that lets none through. */
export class BlockedSocket implements Socket {
  static dials = 0
  binaryType = ''
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  onerror: Socket['onerror'] = null

  constructor() {
    BlockedSocket.dials++
    setImmediate(() => this.onclose?.({ code: 1006, reason: '' }))
  }
  send(): void {}
  close(): void {}
}
