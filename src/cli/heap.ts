import { statSync } from 'node:fs'
import { loadConfig } from '../config/load.ts'
import { reasonOf } from '../platform/reason.ts'
import { PAUSE_MS, snapshotsOf } from '../telemetry/heap-snapshot.ts'
import { CommandFailed } from './failure.ts'
import { askRunning } from './running.ts'

const PATIENCE_MS = 120_000
const LOOK_MS = 100

/**
 * Has the gateway of this machine write a heap snapshot, and prints the file.
 * @throws CommandFailed when no gateway answers at LISTEN_ADDR, when it belongs to another user, or
 * when no file comes within two minutes.
 */
export async function heap(): Promise<void> {
  const { config } = loadConfig()
  const { pid, heapSnapshots: folder } = await askRunning(config)
  const before = filesOf(pid, folder)
  const newest = before.at(-1)
  if (newest !== undefined && Date.now() - statSync(newest).mtimeMs < PAUSE_MS)
    throw new CommandFailed(`${newest} is less than a minute old: each snapshot stops the gateway, so wait a minute`)
  try {
    process.kill(pid, 'SIGUSR2')
  } catch {
    throw new CommandFailed(`process ${pid} takes no signal from here: run this on its machine, as its user`)
  }
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    const file = filesOf(pid, folder).find((each) => !before.includes(each))
    if (file !== undefined) return void process.stdout.write(`${file}\n`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  throw new CommandFailed(`no file appeared in ${folder}: the log of the gateway says why (event heap-snapshot)`)
}

function filesOf(pid: number, folder: string): string[] {
  try {
    return snapshotsOf(pid, folder)
  } catch (error) {
    throw new CommandFailed(`cannot read ${folder} of HEAP_SNAPSHOT_DIR: ${reasonOf(error)}`)
  }
}
