import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../platform/reason.ts'
import { protect } from '../platform/redact.ts'
import { CommandFailed } from './failure.ts'

/**
 * The URL of each running embedded Redis, with its password, in a file that only this user can
 * read: `<temporary folder>/wsproxy-<uid>/embedded-redis-<port>`.
 */

// Not userInfo(): it throws where the user has no name, as in a container with an arbitrary user.
const uid = process.getuid?.() ?? -1
const FOLDER = join(tmpdir(), `wsproxy-${uid}`)
const PREFIX = 'embedded-redis-'
const OTHERS = 0o077

/**
 * Writes the URL for the other commands of this user; returns a function that removes it again.
 * @throws CommandFailed when the folder is not a folder of this user alone, or cannot be written.
 */
export function announce(url: string): () => void {
  const file = join(FOLDER, PREFIX + new URL(url).port)
  // Written under another name first: a command that reads meanwhile sees all of it or nothing.
  const unfinished = `${file}.${process.pid}`
  try {
    mkdirSync(FOLDER, { recursive: true, mode: 0o700 })
    assertPrivate()
    writeFileSync(unfinished, `${url}\n`, { mode: 0o600, flag: 'wx' })
    renameSync(unfinished, file)
  } catch (error) {
    const why = reasonOf(error)
    throw new CommandFailed(`cannot store the password of the embedded Redis: ${why}; set REDIS_URL, or another TMPDIR`)
  }
  return () => rmSync(file, { force: true })
}

/**
 * Returns the URLs that were announced and not removed, the newest first and that of port `first`
 * before all. The server of a process that was killed is among them. Their passwords are secrets
 * from now on.
 */
export function announced(first: number): string[] {
  let names: string[]
  try {
    assertPrivate()
    names = readdirSync(FOLDER).filter((name) => /^embedded-redis-\d+$/.test(name))
  } catch {
    return []
  }
  const found = names.flatMap((name) => {
    try {
      const file = join(FOLDER, name)
      return [{ url: readFileSync(file, 'utf8').trim(), isFirst: name === PREFIX + first, at: statSync(file).mtimeMs }]
    } catch {
      return [] // Removed meanwhile.
    }
  })
  const urls = found.sort((a, b) => Number(b.isFirst) - Number(a.isFirst) || b.at - a.at).map(({ url }) => url)
  protect(urls.map((url) => new URL(url).password))
  return urls
}

/**
 * Another user may have made the folder before: that user could read the password, or give the
 * commands the address of another server.
 */
function assertPrivate(): void {
  const there = lstatSync(FOLDER)
  if (there.isDirectory() && there.uid === uid && (there.mode & OTHERS) === 0) return
  throw new Error(`${FOLDER} is not a folder of this user with mode 0700`)
}
