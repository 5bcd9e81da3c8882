import { createInterface } from 'node:readline'
import { type Session, type SocketClass, session } from '../../client/src/index.ts'

/**
 * Many clients in one process, which may be Node, Deno or Bun. Each line of stdin is
 * `open <number> <url> <agent> <id> <token url>` or `close <number>`.
 */
const { WebSocket: own } = globalThis as unknown as { WebSocket?: SocketClass }
// Node 20 has none.
const WebSocket = own ?? ((await import('ws')).WebSocket as unknown as SocketClass)
const chats = new Map<string, Session>()

for await (const line of createInterface({ input: process.stdin })) {
  const [order, number = '', url = '', agent = '', id = '', tokenUrl = ''] = line.split(' ')
  if (order === 'open') {
    const token = () => fetch(tokenUrl).then((response) => response.text())
    chats.set(number, session(url, { agent, id, token, storage: null, WebSocket }))
  } else {
    chats.get(number)?.close()
    chats.delete(number)
  }
}
for (const chat of chats.values()) chat.close()
