/** Which programs outside npm are installed. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const onPath = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** The version that a program prints on stdout or stderr; `unknown` when it prints none. */
export function versionOf(command: string, argument: string): string {
  const { stdout, stderr } = spawnSync(command, [argument], { encoding: 'utf8', timeout: 2000 })
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}

/** The version of a Debian package, for programs that do not print theirs. */
export function packageVersion(name: string): string {
  const { stdout } = spawnSync('dpkg-query', ['--show', name], { encoding: 'utf8' })
  return stdout?.trim().split('\t')[1] ?? 'unknown'
}

/** The name of the installed Redis or Valkey; undefined when neither is installed. */
export const redisServer = (): string | undefined => ['redis-server', 'valkey-server'].find(onPath)
