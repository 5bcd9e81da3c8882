/**
 * Publishes one message to each session until Redis has delivered it to a subscriber. PUBLISH is
 * answered with the number of subscribers that got the message, so no message is sent twice.
 */
import { connect, type Socket } from 'node:net'
import { nowUs, sleep } from './clock.ts'
import { Publishes } from './publishes.ts'

/** Sessions that are tried in one write. */
const BATCH = 1000
/** Pause after a batch that no subscriber got. */
const PAUSE_MS = 5
const ZERO = 48
/** `:0` or `:1`, and CRLF. */
const ANSWER_BYTES = 4

export interface UntilHeard {
  redisPort: number
  sessions: number
  /** The sequence number of the message on each session. */
  sequence: number
  giveUpMs: number
}

/** Returns how many sessions have a subscriber that got its message. */
export async function publishUntilHeard({ redisPort, sessions, sequence, giveUpMs }: UntilHeard): Promise<number> {
  const socket = connect({ host: '127.0.0.1', port: redisPort, noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const publishes = new Publishes(sessions)
  const endUs = nowUs() + giveUpMs * 1000
  let unheard = Array.from({ length: sessions }, (_, session) => session)
  try {
    while (unheard.length > 0 && nowUs() < endUs) {
      const tried = unheard.slice(0, BATCH)
      const messages = tried.map((session) => publishes.batch(sequence * sessions + session, 1, nowUs()))
      const answers = await ask(socket, Buffer.concat(messages), tried.length)
      const missed = tried.filter((_, i) => answers[i * ANSWER_BYTES + 1] === ZERO)
      // Behind the others: a subject may subscribe in any order.
      unheard = [...unheard.slice(BATCH), ...missed]
      if (missed.length === tried.length) await sleep(PAUSE_MS)
    }
  } finally {
    socket.destroy()
  }
  return sessions - unheard.length
}

/** Resolves with `count` answers, each of one digit. */
function ask(socket: Socket, commands: Buffer, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const read = (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes < count * ANSWER_BYTES) return
      socket.off('data', read).off('close', ended)
      const answers = Buffer.concat(chunks)
      if (bytes === count * ANSWER_BYTES && answers[0] === 58) resolve(answers)
      else reject(new Error(`not the answers to PUBLISH: ${answers.toString('latin1', 0, 80)}`))
    }
    const ended = () => reject(new Error('Redis has closed the connection'))
    socket.on('data', read).on('close', ended)
    socket.write(commands)
  })
}
