import { isTopicRule } from '../contract/names.ts'
import { boolean, duration, integer, list, oneOf, string } from './kinds.ts'
import type { Config } from './load.ts'
import { isOriginEntry } from './origins.ts'

/** The live door's part of the table of settings. */
export const liveSettings = {
  liveTopics: list('LIVE_TOPICS', {
    default: '',
    description: 'Topics beside the built-in ones: names, or beginnings of names followed by `*` (`build.*`).',
  }),
  liveMaxSubscriptions: integer('LIVE_MAX_SUBSCRIPTIONS', {
    default: '10',
    minimum: 1,
    maximum: 1000,
    description: 'Topics that a live socket may hold.',
  }),
  liveRate: integer('LIVE_RATE', {
    default: '20',
    description: 'Client frames a second per live socket. 0: no limit.',
  }),
  liveRateBurst: integer('LIVE_RATE_BURST', {
    default: '40',
    minimum: 1,
    description: 'Client frames that a live socket may send at once.',
  }),
  liveIdleTimeoutMs: duration('LIVE_IDLE_TIMEOUT', {
    default: '600s',
    description: 'Silence in both directions until a live socket is closed with 4408. 0: never.',
  }),
  liveMaxDrops: integer('LIVE_MAX_DROPS', {
    default: '5',
    minimum: 1,
    description: 'Frames in a row that a full send buffer may cost a live socket, until it is closed with 1008.',
  }),
  liveCompression: boolean('LIVE_COMPRESSION', {
    default: 'false',
    description: 'Offer permessage-deflate on the live door: fewer bytes for more CPU time, and memory per socket.',
  }),
  liveRefuse: oneOf(['close', 'http'])('LIVE_REFUSE', {
    default: 'close',
    description:
      'How a live client learns that it may not enter: accepted and closed with 4401 or 4403, which a browser shows a page, or 401 or 403.',
  }),
  wsAllowedOrigins: list('WS_ALLOWED_ORIGINS', {
    default: undefined,
    description: 'Origins of the live door, where they are others than `ALLOWED_ORIGINS`.',
  }),
  wsAuthRequired: boolean('WS_AUTH_REQUIRED', {
    default: 'false',
    description: 'Whether the live door asks for `WS_AUTH_TOKEN`, in the same places as for sessions.',
  }),
  wsAuthToken: string('WS_AUTH_TOKEN', {
    default: undefined,
    secret: true,
    description: 'The token that all live clients share; asked for with `WS_AUTH_REQUIRED=true` only.',
  }),
} as const

/** Entries of a list that are none, each as one line. A list that is wrong in itself is still text here, and reported already. */
const wrongEntries = (name: string, list: unknown, isEntry: (entry: string) => boolean, what: string) =>
  Array.isArray(list)
    ? list.filter((entry) => !isEntry(entry)).map((entry) => `${name}: ${JSON.stringify(entry)} is ${what}`)
    : []

const NO_ORIGIN = 'no origin, host or *.host (with or without https://), nor *, so it would match nothing'
const NO_TOPIC = 'no topic: [a-z0-9_.-], 1 to 64, with a * at the end for all that begin so'

/** What is wrong with the lists of origins and with what the live door is told. */
export function liveProblems(config: Config): string[] {
  const { wsAuthRequired, wsAuthToken } = config
  return [
    ...wrongEntries('ALLOWED_ORIGINS', config.allowedOrigins, isOriginEntry, NO_ORIGIN),
    ...wrongEntries('WS_ALLOWED_ORIGINS', config.wsAllowedOrigins, isOriginEntry, NO_ORIGIN),
    ...wrongEntries('LIVE_TOPICS', config.liveTopics, isTopicRule, NO_TOPIC),
    ...(wsAuthRequired === true && wsAuthToken === undefined
      ? ['WS_AUTH_TOKEN: must be set with WS_AUTH_REQUIRED=true']
      : []),
  ]
}
