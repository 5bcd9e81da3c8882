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

/** The name of the Redis or Valkey that is there. */
export const redisServer = (): string => (onPath('redis-server') ? 'redis-server' : 'valkey-server')
