import type { ChildProcess } from 'node:child_process'

const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** Kills the child when this process exits: a test that failed does not stop its children. */
export function killAtExit<C extends ChildProcess>(child: C): C {
  living.add(child)
  child.once('exit', () => living.delete(child))
  return child
}
