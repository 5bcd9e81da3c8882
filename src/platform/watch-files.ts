import { statSync } from 'node:fs'

/**
 * Looks at files every `everyMs` and calls `changed` after one of them has changed, again each time
 * until it returns without an error. `failed` gets each error once. Returns a function that ends
 * the watch.
 */
export function watchFiles(
  paths: readonly string[],
  everyMs: number,
  changed: () => void,
  failed: (error: Error) => void,
): () => void {
  let seen = stamp(paths)
  let reported = ''
  // Polled: events of the file system do not follow the links that Kubernetes replaces.
  const timer = setInterval(() => {
    try {
      // It throws where a link leads to itself, or where this user may not look.
      const now = stamp(paths)
      if (now === seen) return
      changed()
      seen = now
      reported = ''
    } catch (error) {
      const { message } = error as Error
      if (message !== reported) failed(error as Error)
      reported = message
    }
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** A text that differs after a file was replaced or written. */
function stamp(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const { ino, mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {}
      return `${ino} ${mtimeMs} ${size}`
    })
    .join()
}
