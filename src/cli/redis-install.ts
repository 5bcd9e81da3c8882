import { loadConfig } from '../config/load.ts'
import { reasonOf } from '../platform/reason.ts'
import { LIBRARY_LOAD } from '../redis/session-library.ts'
import { SAY_CODE, SAY_FUNCTION, SAY_LIBRARY, SAY_TEXT } from '../redis/session-say.ts'
import { CommandFailed, Misused } from './failure.ts'
import { asAgent } from './redis.ts'

/**
 * Loads the library for logs of sessions into every server that takes writes, or prints it.
 * @throws Misused for an unknown word. @throws CommandFailed when a server has no functions, or
 * forbids them.
 */
export async function redisInstall({ print }: { readonly print?: string }): Promise<void> {
  if (print !== undefined) return printed(print)
  await asAgent(loadConfig().config, async (agent) => {
    const servers = await agent.everyMaster(LIBRARY_LOAD).catch((error: Error) => {
      const reason = reasonOf(error)
      throw new CommandFailed(`Redis does not load the library: ${reason}; ${adviceFor(reason)}`)
    })
    console.error(`loaded the library ${SAY_LIBRARY} with the function ${SAY_FUNCTION} into ${serversOf(servers)}`)
  })
}

/** SCRIPT LOAD gives the text that was printed, without a newline, the hash for EVALSHA. */
function printed(what: string): void {
  if (what !== 'library' && what !== 'script') throw new Misused(`--print ${what} is unknown: library or script`)
  process.stdout.write(what === 'library' ? SAY_CODE : SAY_TEXT)
}

const adviceFor = (reason: string): string =>
  /unknown command/i.test(reason)
    ? 'functions need Redis 7 or later, and agents of an older one use EVALSHA with "wsproxy redis install --print script"'
    : 'connect as a user that may use FUNCTION LOAD'

const serversOf = (count: number): string => `${count} server${count === 1 ? '' : 's'}`
