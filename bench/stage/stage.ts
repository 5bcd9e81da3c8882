/**
 * Everything that one round needs, all of it fresh: Redis, the subject, the receiver and the
 * publisher.
 */
import { withDeadline } from '../load/clock.ts'
import type { DialectName } from '../load/dialects.ts'
import { Remote } from '../load/ipc.ts'
import type { PublisherCommands } from '../load/publisher.ts'
import type { ReceiverCommands } from '../load/receiver.ts'
import type { Subject } from '../subject.ts'
import { type Child, forkChild } from './children.ts'
import { type RedisStage, startRedis } from './redis.ts'
import { startSubject } from './start-subject.ts'

const ROUND_MS = 300_000

export interface Stage {
  redis: RedisStage
  /** The port of the subject, and its process. */
  port: number
  pid: number
  subject: Child
  /** The dialect of its clients. */
  dialect: DialectName
  /** Starts it again on the same port after it has ended. */
  startAgain(): Promise<Child>
  receiver: Remote<ReceiverCommands>
  publisher: Remote<PublisherCommands>
}

/**
 * Sets the stage, runs `work` on it for at most five minutes, and clears it, also after an error.
 */
export async function onStage<T>(subject: Subject, work: (stage: Stage) => Promise<T>): Promise<T> {
  const endings: (() => Promise<void>)[] = []
  try {
    const redis = await startRedis()
    endings.unshift(() => redis.end())
    const { child, port } = await startSubject(subject, redis.url)
    // The end of the subject is not measured, but a foreign one may have processes of its own to
    // end.
    endings.unshift(() => child.end(subject.program ? 'SIGTERM' : 'SIGKILL'))
    let onDuty = child
    const startAgain = async () => {
      const started = await startSubject(subject, redis.url, port)
      endings.unshift(() => started.child.end(subject.program ? 'SIGTERM' : 'SIGKILL'))
      onDuty = started.child
      return onDuty
    }
    const receiver = forkChild('receiver', new URL('../load/receiver.js', import.meta.url))
    endings.unshift(() => receiver.end('SIGKILL'))
    const publisher = forkChild('publisher', new URL('../load/publisher.js', import.meta.url))
    endings.unshift(() => publisher.end('SIGKILL'))
    const working = work({
      redis,
      port,
      pid: child.pid,
      subject: child,
      dialect: subject.dialect ?? 'plain',
      startAgain,
      receiver: new Remote<ReceiverCommands>(receiver.process, receiver.name),
      publisher: new Remote<PublisherCommands>(publisher.process, publisher.name),
    })
    return await withDeadline(
      blameTheDead(() => onDuty, working),
      ROUND_MS,
      'the round',
    )
  } finally {
    for (const end of endings) await end()
  }
}

/** When the subject has died, that is the error; the failure of the round is only its effect. */
async function blameTheDead<T>(onDuty: () => Child, working: Promise<T>): Promise<T> {
  try {
    return await working
  } catch (error) {
    const subject = onDuty()
    if (subject.running) throw error
    const effect = error instanceof Error ? error.message : String(error)
    throw new Error(`${subject.name} has ended during the round (${effect}): ${subject.tail}`)
  }
}
