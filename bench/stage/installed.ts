/** Whether programs that are no packages of npm are there. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const onPath = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** What a program says of its version, on whichever output; `unknown` when it says nothing. */
export function versionOf(command: string, argument: string): string {
  const { stdout, stderr } = spawnSync(command, [argument], { encoding: 'utf8', timeout: 2000 })
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}

/** The version of a package of Debian, for programs that do not say theirs. */
export function packageVersion(name: string): string {
  const { stdout } = spawnSync('dpkg-query', ['--show', name], { encoding: 'utf8' })
  return stdout?.trim().split('\t')[1] ?? 'unknown'
}

/** The name of the Redis or Valkey that is there, if one is. */
export const redisServer = (): string | undefined => ['redis-server', 'valkey-server'].find(onPath)
