import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { WebSocket } from 'ws'
import { loadConfig } from '../src/config/load.ts'
import { sessionAuth, sessionDown, sessionUp } from '../src/contract/names.ts'
import { Gateway } from '../src/gateway/gateway.ts'
import { startEmbeddedRedis } from '../src/redis/servers/embedded.ts'
import { createLogger } from '../src/telemetry/log.ts'

/**
 * Shows the session door and the run door on one screen of 80 columns in about ten seconds. The
 * agent speaks only Redis and the client only WebSocket. Gateway, Redis and both connections are
 * real; only the agent's answer is fixed.
 */

const WORDS = 'Every word went from an agent through Redis to your WebSocket.'.split(' ')
const WORD_MS = 200
const SESSION = 'demo'
const RUN = 'demo-run'
/** Field of the hash, and the step of the checklist that it turns green. */
const STEPS = [
  ['build_channels', 'channels'],
  ['set_outlet', 'outlet'],
  ['abstract_watershed', 'subcatchments'],
  ['build_landuse', 'landuse'],
  ['build_climate', 'climate'],
] as const
const STEP_MS = 400

/** SGR colours of the speakers (ECMA-48, 8.3.117), on a terminal that has colours. */
const COLOURS: Readonly<Record<string, number>> = { agent: 33, client: 36, gateway: 32, redis: 35 }
const hasColours = process.stdout.isTTY && process.stdout.hasColors()

const label = (speaker: string): string => {
  const text = speaker.padEnd(9)
  return hasColours ? `\u001b[${COLOURS[speaker]}m${text}\u001b[0m` : text
}
const say = (speaker: string, text: string) => console.log(`${label(speaker)}${text}`)

/** Waits for a question on `:up` and answers word by word on `:down`. */
async function startAgent(url: string) {
  const listener = createClient({ url })
  const publisher = createClient({ url })
  await Promise.all([listener.connect(), publisher.connect()])
  await listener.subscribe(sessionUp(SESSION), async (question) => {
    say('agent', `PUBLISH from the client: ${question}`)
    for (const text of WORDS) {
      await publisher.publish(sessionDown(SESSION), JSON.stringify({ type: 'token', text }))
      await pause(WORD_MS)
    }
    await publisher.publish(sessionDown(SESSION), JSON.stringify({ type: 'control', command: 'stream_end' }))
  })
  return {
    /** Makes a token, as a backend does before it sends a browser to the gateway. */
    createToken: async () => {
      const token = randomBytes(32).toString('base64url')
      await publisher.set(sessionAuth(SESSION), token, { expiration: { type: 'EX', value: 60 } })
      return token
    },
    stop: () => [listener, publisher].map((client) => client.destroy()),
  }
}

/** Asks, prints the words as they arrive, and resolves when the gateway has closed the socket. */
async function runClient(url: string, token: string): Promise<void> {
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } })
  const closed = once(socket, 'close') as Promise<[number, Buffer]>
  await once(socket, 'open')
  say('client', 'open: the token was right and Redis has confirmed the subscription')
  socket.send(JSON.stringify({ type: 'ask', text: 'What am I looking at?' }))
  let words = 0
  socket.on('message', (data) => {
    const frame = JSON.parse(data.toString())
    if (frame.type === 'token') process.stdout.write(`${words++ === 0 ? label('client') : ' '}${frame.text}`)
    else process.stdout.write('\n')
  })
  const [code, reason] = await closed
  say('client', `closed: ${code} ${reason}`)
}

async function refusedAgain(url: string, token: string): Promise<void> {
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  say('client', `the same token a second time: ${response.statusCode} ${response.statusMessage}`)
  response.destroy()
}

/** Fills the hash of a run step by step, and prints the checklist that a client sees each time. */
async function runDoor(gatewayUrl: string, redisUrl: string): Promise<void> {
  const writer = createClient({ url: redisUrl })
  await writer.connect()
  const socket = new WebSocket(`${gatewayUrl}/${RUN}`)
  const shown = () =>
    new Promise<void>((resolve) => {
      socket.once('message', (data) => {
        const { checklist } = JSON.parse(data.toString())
        const steps = Object.keys(checklist).filter((step) => STEPS.some(([, key]) => key === step))
        const green = Object.values(checklist).filter(Boolean).length
        say(
          'client',
          steps
            .map((step) => (checklist[step] ? `[x]${step}` : `[ ]${step}`))
            .join(' ')
            .concat(` (${green} done)`),
        )
        resolve()
      })
    })
  await shown()
  for (const [index, [field]] of STEPS.entries()) {
    await pause(STEP_MS)
    const seen = shown()
    await writer.hSet(RUN, `timestamps:${field}`, String(100 + index))
    await seen
  }
  socket.close()
  writer.destroy()
}

const redis = await startEmbeddedRedis()
const { config } = loadConfig({ LISTEN_ADDR: '127.0.0.1:0', STREAM_END_TIMEOUT: '1s' })
const gateway = new Gateway({ config, redisUrl: redis.url, log: createLogger('silent') })
const { port } = gateway.listen()
// The gateway refuses upgrades until it has Redis, and this client does not try again.
while (!gateway.redisReady) await pause(10)
say('redis', `redis://${redis.address} (embedded)`)
say('gateway', `ws://127.0.0.1:${port}`)
const agent = await startAgent(redis.url)
const url = `ws://127.0.0.1:${port}/agent-1/ws/${SESSION}`
const token = await agent.createToken()
say('agent', `SET ${sessionAuth(SESSION)} <token> EX 60`)
await runClient(url, token)
await refusedAgain(url, token)
say('agent', `fills the hash ${RUN} with time stamps, one HSET for each step`)
await runDoor(`ws://127.0.0.1:${port}`, redis.url)
agent.stop()
await gateway.stop()
await redis.close()
say('gateway', 'drained')
console.log(`
Next: npm start, and in another terminal
  npm run -s wsproxy -- connect --create-token \\
    ws://127.0.0.1:8080/agent-1/ws/demo
then type a line: an agent answers. docs/README.md leads on from there.`)
process.exit(0)
