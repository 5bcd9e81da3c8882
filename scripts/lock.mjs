/**
 * Lets one process of this machine at a time do some work in a folder. Plain Node, no packages.
 *
 * Each process has one file in the folder of the lock, named by its turn, its pid and its start
 * (Lamport's bakery). The file of a process that was killed counts no more, and everybody may
 * remove it: no other process ever uses the same name.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LOOK_MS = 100
/** In place of a turn: this process looks for the last one. */
const CHOOSING = 'choosing'

/** Waits until no process with an earlier turn is left, runs `work` and returns what it returns. */
export function alone(folder, work) {
  mkdirSync(folder, { recursive: true })
  // Of a killed process that had the same pid.
  for (const { file, pid } of entriesOf(folder)) if (pid === process.pid) rmSync(join(folder, file), { force: true })
  const id = `${process.pid}-${startOf(process.pid)}`
  const choosing = join(folder, `${CHOOSING}-${id}`)
  writeFileSync(choosing, '')
  const turn = 1 + Math.max(0, ...turnsOf(folder).map((each) => each.turn))
  const own = join(folder, `${turn}-${id}`)
  renameSync(choosing, own)
  // `work` may end the process.
  process.once('exit', () => rmSync(own, { force: true }))
  let isWaiting = false
  for (let before = beforeMe(folder, turn); before; before = beforeMe(folder, turn)) {
    if (!isWaiting) console.error(`waiting for process ${before.pid}, which installs or compiles here`)
    isWaiting = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS)
  }
  try {
    return work()
  } finally {
    rmSync(own, { force: true })
  }
}

/** A process that goes first; undefined: it is the turn of this one. */
function beforeMe(folder, own) {
  // Looked for first: a process that has chosen since then has a turn that the second look sees.
  const choosing = entriesOf(folder).find(({ word, pid }) => word === CHOOSING && pid !== process.pid)
  if (choosing) return choosing
  return turnsOf(folder).find(({ turn, pid }) => turn < own || (turn === own && pid < process.pid))
}

const turnsOf = (folder) =>
  entriesOf(folder).flatMap(({ word, pid }) => (word === CHOOSING ? [] : [{ turn: Number(word), pid }]))

/** The files of the processes that run. */
function entriesOf(folder) {
  return readdirSync(folder).flatMap((file) => {
    const [, word, id, start] = /^(choosing|\d+)-(\d+)-(\d*)$/.exec(file) ?? []
    if (id === undefined) return []
    const pid = Number(id)
    if (runs(pid, start)) return [{ file, word, pid }]
    rmSync(join(folder, file), { force: true })
    return []
  })
}

function runs(pid, start) {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // A process of another user runs too.
    if (error.code !== 'EPERM') return false
  }
  const current = startOf(pid)
  return start === '' || current === '' || start === current
}

/** When a process has started, in ticks. '': unknown. After a restart another one has its pid. */
function startOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name of the program, in brackets, may have spaces.
    return text.slice(text.lastIndexOf(')')).split(' ')[20]
  } catch {
    return ''
  }
}
