import { randomBytes } from 'node:crypto'
import {
  liveAnswers,
  liveBus,
  liveChannel,
  olderChannels,
  privateSession,
  redisCanary,
  runEvents,
  sessionDown,
} from '../../contract/names.ts'
import type { Check, RedisUses } from '../check.ts'

interface Kind {
  /** The part of the gateway that needs the channel. */
  readonly for: string
  /** As an ACL names all channels of the kind. */
  readonly pattern: string
  /** The channel that is tried. */
  readonly channel: string
}

/** Every kind of channel that the gateway subscribes with these settings. */
function kinds(random: string, { database, runKeyPrefix, canary }: RedisUses): Kind[] {
  const own = privateSession(random)
  const kind = (part: string, name: (id: string) => string, id: string): Kind => ({
    for: part,
    pattern: name('*'),
    channel: name(id),
  })
  const single = (part: string, channel: string): Kind => ({ for: part, pattern: channel, channel })
  return [
    kind(SESSION_DOOR, sessionDown, own),
    kind('the run door', (id) => runEvents(database, runKeyPrefix + id), own),
    kind('the live door', liveChannel, own),
    ...olderChannels().map((channel) => single('the live door', channel)),
    single('the live door and its orders', liveBus()),
    kind('the live door and its orders', liveAnswers, random),
    ...(canary ? [kind('the canary', redisCanary, random)] : []),
  ]
}

const SESSION_DOOR = 'the session door'

const check: Check = {
  name: 'redis-channels',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const tried = kinds(randomBytes(8).toString('hex'), redis.uses)
    const refused = new Set(
      await redis.forbidden(
        tried.map(({ channel }) => channel),
        signal,
      ),
    )
    const missing = tried.filter(({ channel }) => refused.has(channel))
    if (missing.length === 0)
      return { status: 'pass', message: 'Redis allows every kind of channel that the doors need' }
    return {
      // Without the others one door is out of order, which is no reason to take the instance away.
      status: missing.some((each) => each.for === SESSION_DOOR) ? 'fail' : 'warn',
      message: `Redis forbids SUBSCRIBE on ${missing.map((each) => `${each.pattern} (${each.for})`).join('; ')}`,
      remediation: `ACL SETUSER <user> ${missing.map(({ pattern }) => `'&${pattern}'`).join(' ')}, or all that "wsproxy redis acl" prints`,
    }
  },
}
export default check
