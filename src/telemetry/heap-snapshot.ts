import { createWriteStream, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { getHeapSnapshot } from 'node:v8'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from './log.ts'

/** A snapshot stops the event loop, so a second one within this time is not written. */
export const PAUSE_MS = 60_000
/** Files that stay in the folder, of all gateways: two of one show what has grown between them. */
const KEPT = 4
const SUFFIX = '.heapsnapshot'
const NAME = /^wsproxy-\d+-([\dTZ-]+)\.heapsnapshot$/

const prefixOf = (pid: number): string => `wsproxy-${pid}-`

/** The folder for heap snapshots: HEAP_SNAPSHOT_DIR, or the temporary folder of the system. */
export const heapFolder = (setting: string | undefined): string => setting || tmpdir()

/** The finished snapshots of a process, oldest first. @throws when the folder cannot be read. */
export const snapshotsOf = (pid: number, folder: string): string[] =>
  snapshotsIn(folder).filter((file) => file.startsWith(join(folder, prefixOf(pid))))

function snapshotsIn(folder: string): string[] {
  const files = readdirSync(folder).flatMap((name) => {
    const [, stamp] = NAME.exec(name) ?? []
    return stamp === undefined ? [] : [{ stamp, file: join(folder, name) }]
  })
  return files.sort((a, b) => (a.stamp < b.stamp ? -1 : 1)).map(({ file }) => file)
}

/**
 * Writes a heap snapshot at each SIGUSR2, readable by this user only, since it has every secret and
 * message that is in memory. The event loop stops meanwhile, about a second for 100 MB.
 */
export function snapshotOnSignal(folder: string, log: Logger): void {
  let writtenAt = Number.NEGATIVE_INFINITY
  process.on('SIGUSR2', () => {
    if (performance.now() - writtenAt < PAUSE_MS) {
      log.warn({ event: 'heap-snapshot', reason: 'one was written less than a minute ago' }, 'no heap snapshot written')
      return
    }
    writtenAt = performance.now()
    void write(folder, log).then((isWritten) => {
      if (!isWritten) writtenAt = Number.NEGATIVE_INFINITY
    })
  })
}

/** Removes all but the newest snapshots. `written` stays, even beside names of the future. */
function removeOld(folder: string, written: string): void {
  const others = snapshotsIn(folder).filter((file) => file !== written)
  for (const old of others.slice(0, Math.max(0, others.length - KEPT + 1))) {
    try {
      rmSync(old, { force: true })
    } catch {
      // In a shared folder other users own some of these names, and the snapshot is written.
    }
  }
}

async function write(folder: string, log: Logger): Promise<boolean> {
  const from = performance.now()
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '')
  const file = join(folder, `${prefixOf(process.pid)}${stamp}${SUFFIX}`)
  const part = `${file}.part`
  try {
    const stream = getHeapSnapshot()
    const pauseMs = Math.round(performance.now() - from)
    const output = createWriteStream(part, { mode: 0o600, flags: 'wx' })
    await pipeline(stream, output)
    renameSync(part, file)
    removeOld(folder, file)
    log.warn({ event: 'heap-snapshot', file, bytes: output.bytesWritten, pauseMs }, 'heap snapshot written')
    return true
  } catch (error) {
    rmSync(part, { force: true })
    log.error({ event: 'heap-snapshot', file, reason: reasonOf(error) }, 'no heap snapshot written')
    return false
  }
}
