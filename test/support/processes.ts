import type { ChildProcess } from 'node:child_process'

const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** Ends it with this process at the latest: a test that has failed stops nothing any more. */
export function endWithUs<C extends ChildProcess>(child: C): C {
  living.add(child)
  child.once('exit', () => living.delete(child))
  return child
}
