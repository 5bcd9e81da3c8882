import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { hashSync, verifySync } from '@node-rs/argon2'
import type { HashJob, HashResult, Priority } from './hash-threads.ts'

/** The thread in which passwords are hashed, and nothing else. */

/** On a busy core the thread gets a third of what the event loop gets, and an idle core whole. */
const NICENESS = 5

/** Gives this thread its priority. Returns the one that it has got. */
function prioritise(priority: Priority): Priority {
  try {
    // Linux has a priority for each thread, and this link leads to that of the reader.
    const thread = readlinkSync('/proc/thread-self').split('/').at(-1)!
    // Node has no call for this class, and util-linux and busybox have this command.
    if (priority === 'idle' && spawnSync('chrt', ['-i', '-p', '0', thread], { stdio: 'ignore' }).status === 0)
      return 'idle'
    setPriority(Number(thread), NICENESS)
  } catch {
    // Elsewhere the thread has the priority of the process.
  }
  return 'low'
}

function resultOf({ hash, password, parameters }: HashJob): HashResult {
  if (hash === undefined) return { hash: hashSync(password, parameters) }
  try {
    return { isEqual: verifySync(hash, password) }
  } catch {
    // The text in Redis is no hash.
    return { isEqual: false }
  }
}

parentPort!.on('message', (job: HashJob) => parentPort!.postMessage(resultOf(job)))
parentPort!.postMessage(prioritise(workerData))
