import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashSync, verifySync } from '@node-rs/argon2'
import type { HashJob, HashResult } from './hash-threads.ts'

/** The thread in which passwords are hashed, and nothing else. */

/** On a busy core the thread gets a third of what the event loop gets, and an idle core whole. */
const NICENESS = 5

try {
  // Linux has a priority for each thread, and this link leads to that of the reader.
  setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICENESS)
} catch {
  // Elsewhere the thread has the priority of the process.
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
parentPort!.postMessage('ready')
