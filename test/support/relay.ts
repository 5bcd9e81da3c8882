import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { startRedis, type TestRedis } from './redis.ts'
import { type Scope, stopAtEnd } from './scope.ts'

/** A Redis behind a TCP relay that keeps answers back, so that a test decides what happens between a command and its confirmation. */
export interface RelayedRedis extends TestRedis {
  /** Keeps back all answers on a connection from the moment it sends something that contains `text`. */
  hold(text: string): void
  /** Whether something that contains `text` is being kept back. */
  holds(text: string): boolean
  /** Passes on what was kept, in one write a connection, and keeps nothing more. */
  release(): void
}

interface Passage {
  readonly client: Socket
  kept: Buffer[] | undefined
}

/** Starts a Redis and a relay in front of it; `client()` goes to the Redis itself. */
async function startRelayedRedis(): Promise<RelayedRedis> {
  const redis = await startRedis()
  const passages = new Set<Passage>()
  let needle: string | undefined
  const server = createServer((client) => {
    const passage: Passage = { client, kept: undefined }
    const upstream = connect(redis.port, '127.0.0.1')
    passages.add(passage)
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
    }
    client.on('data', (chunk) => {
      if (needle !== undefined && chunk.includes(needle)) passage.kept ??= []
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (passage.kept) passage.kept.push(chunk)
      else client.write(chunk)
    })
    upstream.on('close', () => client.destroy())
    client.on('close', () => {
      passages.delete(passage)
      upstream.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    client: () => redis.client(),
    hold: (text) => {
      needle = text
    },
    holds: (text) => [...passages].some(({ kept }) => kept !== undefined && Buffer.concat(kept).includes(text)),
    release: () => {
      needle = undefined
      for (const passage of passages) {
        if (passage.kept) passage.client.write(Buffer.concat(passage.kept))
        passage.kept = undefined
      }
    },
    stop: async () => {
      server.close()
      for (const { client } of passages) client.destroy()
      await redis.stop()
    },
  }
}

/** `startRelayedRedis` for one scope. */
export const relayedRedisFor = (scope: Scope): Promise<RelayedRedis> => stopAtEnd(scope, startRelayedRedis())
