import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { SAY_SHA, SAY_TEXT } from '../../src/redis/session-say.ts'

/**
 * An agent of many sessions, in a process of its own: `node restart-agent.js <redis port>
 * <sessions> <messages a second> <seconds>`. Message k goes to session k modulo their number. It
 * prints how long it took and its CPU time, both in ms. It writes commands to a plain socket and
 * only counts the answers, because a library of Redis would need most of a core at this pace.
 */
const [port = 0, sessions = 1, rate = 1, seconds = 1] = process.argv.slice(2).map(Number)
const TICK_MS = 5
const MAX_WAITING = 10_000
const NEWLINE = 10
const MINUS = 45

const command = (...words: readonly string[]) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`

/** What stands before and behind the payload of each session. */
const heads = Array.from({ length: sessions }, (_, i) => {
  const id = `many-${i}`
  // Without the payload, and without the three limits and the flags behind it.
  const words = command('EVALSHA', SAY_SHA, '2', sessionLog(id), sessionMeta(id))
  return words.replace('*5', '*10')
})
const TAIL = command('3600', '10000', String(16 * 1024 * 1024), '').replace('*4\r\n', '')

const redis = connect(port, '127.0.0.1')
redis.on('close', () => {
  throw new Error('Redis closed the connection')
})
await once(redis, 'connect')
redis.write(command('SCRIPT', 'LOAD', SAY_TEXT))
await once(redis, 'data')

let waiting = 0
redis.on('data', (answers: Buffer) => {
  for (const byte of answers) {
    if (byte === NEWLINE) waiting--
    else if (byte === MINUS) throw new Error(`Redis refused a message: ${answers}`)
  }
})
const total = rate * seconds
const beganAt = Date.now()
for (let said = 0; said < total; ) {
  const due = Math.min(((Date.now() - beganAt) / 1000) * rate, total)
  let text = ''
  for (; said < due && waiting < MAX_WAITING; said++, waiting++) {
    const payload = `{"n":${Math.floor(said / sessions) + 1}}`
    text += `${heads[said % sessions]}$${payload.length}\r\n${payload}\r\n${TAIL}`
  }
  if (text !== '') redis.write(text)
  await sleep(TICK_MS)
}
while (waiting > 0) await sleep(TICK_MS)
const { user, system } = process.cpuUsage()
process.stdout.write(`${Date.now() - beganAt} ${Math.round((user + system) / 1000)}`)
process.exit()
