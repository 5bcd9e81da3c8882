/** Whether programs that are no packages of npm are there. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const onPath = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** The name of the Redis or Valkey that is there. */
export const redisServer = (): string => (onPath('redis-server') ? 'redis-server' : 'valkey-server')
