#!/usr/bin/env node
/**
 * Writes V8's code cache of the joined gateway (tools/bundle.mjs) beside it, for the Node that runs
 * this. It starts the gateway with an embedded Redis and opens sockets, so that the cache has the
 * code of a start and of a handshake. Another build of Node ignores the cache. Plain Node.
 *
 *   node scripts/code-cache.mjs <dist>
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect, createServer } from 'node:net'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'

const PATIENCE_MS = 60_000
const HANDSHAKES = 20

const [dist] = process.argv.slice(2)
if (dist === undefined) {
  console.error('usage: node scripts/code-cache.mjs <dist>')
  process.exit(2)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

const port = await freePort()
Object.assign(process.env, { LISTEN_ADDR: `127.0.0.1:${port}`, NODE_ENV: 'development', REDIS_URL: '' })
process.argv = [...process.argv.slice(0, 2), 'serve']
const { main, script } = createRequire(import.meta.url)(resolve(dist, 'load.cjs'))
await main()

/** Sends a request and returns the first line of its response; undefined while nothing listens. */
async function firstLine(path, headers = '') {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers}\r\n`)
    const [bytes] = await once(socket, 'data')
    return String(bytes).split('\r\n')[0]
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}

const deadline = performance.now() + PATIENCE_MS
while (!(await firstLine('/ready'))?.includes('200')) {
  if (performance.now() > deadline) throw new Error(`the gateway was not ready within ${PATIENCE_MS} ms`)
  await setTimeout(20)
}
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
for (let i = 0; i < HANDSHAKES; i++) {
  const line = await firstLine('/live', UPGRADE)
  if (!line?.includes('101')) throw new Error(`the live door answered an upgrade with ${line}`)
  await firstLine(`/agent-1/ws/session-${i}`, UPGRADE)
}
// V8 takes code only under the flags with which it was made. The gateway may have set this one
// (src/platform/heap-growth.ts), so it gets its default.
setFlagsFromString('--heap-growing-percent=0')
const code = script.createCachedData()
writeFileSync(resolve(dist, 'wsproxy.bundle.cache'), code)
console.error(`wrote ${code.length} bytes of code for Node ${process.version}`)
process.exit(0)
