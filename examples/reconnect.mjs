import { WebSocket } from 'ws'

const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** After these a second attempt would end the same way. */
const FINAL = new Set([1000, 1003, 1009, 4400, 4401, 4403, 4404])

/**
 * Follows a session and reconnects while that makes sense. `getToken` asks your backend for a new
 * token. `onFrame` gets each frame of the agent. `onEnd` gets the close code, or the HTTP status
 * of a refusal, after which the client does not reconnect.
 */
export function follow(url, { getToken, onFrame, onEnd }) {
  let pauseMs = FIRST_PAUSE_MS

  async function open() {
    const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${await getToken()}` } })
    let hintMs
    let refusal
    socket.on('open', () => {
      pauseMs = FIRST_PAUSE_MS
    })
    socket.on('message', (data) => {
      const frame = JSON.parse(data)
      if (frame.type === 'control' && frame.command === 'goodbye') hintMs = frame.reconnect_after_ms
      else onFrame(frame)
    })
    socket.on('unexpected-response', (_, { statusCode, headers }) => {
      refusal = statusCode
      if (headers['retry-after']) hintMs = 1000 * headers['retry-after']
      socket.terminate()
    })
    // An error is always followed by a close.
    socket.on('error', () => {})
    socket.on('close', (code, reason) => {
      const [, retryMs] = / retry=(\d+)$/.exec(reason) ?? []
      if (retryMs) hintMs = Number(retryMs)
      const isFinal = refusal === undefined ? FINAL.has(code) : refusal !== 429 && refusal < 500
      if (isFinal) return onEnd(refusal ?? code)
      const random = 0.5 + Math.random() / 2
      setTimeout(open, hintMs ?? pauseMs * random)
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
    })
  }
  open()
}
