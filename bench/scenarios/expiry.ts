/**
 * A crowd whose JWTs all end in the same second, while others get messages at a given pace: what
 * the others notice, and whether each of the crowd got its notice before the close.
 */
import { exchange, paced, prepare } from '../acts/exchange.ts'
import { latenciesOfOthers } from '../acts/others.ts'
import { sleep } from '../load/clock.ts'
import type { ExpiringCommands } from '../load/expiring.ts'
import { Remote } from '../load/ipc.ts'
import { JWT_SECRET } from '../load/jwts.ts'
import { Faulty, type Scenario, type Settings, type Values } from '../scenario.ts'
import { forkChild } from '../stage/children.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CROWD = 10_000
/** As many have expired before: V8 has compiled what a gateway at work uses. */
const EARLIER = 4000
const EARLIER_LIFE_S = 12
const CALL_MS = 5000
const CONNECT_MS = 60_000
/** Enough for the crowd to connect. */
const LIFE_S = 40
const NOTICE_S = 2

async function round(stage: Stage, settings: Settings): Promise<Values> {
  await prepare(stage, settings, paced)
  let published = paced.warmUp(settings)
  await exchange(stage, paced, published, published, settings)
  const phase = () => {
    published += settings.messages
    return latenciesOfOthers(stage, settings, published)
  }
  const child = forkChild('crowd', new URL('../load/expiring.js', import.meta.url))
  // These clients stand for other machines.
  child.takeTimeThatIsLeft()
  try {
    const crowd = new Remote<ExpiringCommands>(child.process, child.name)
    await expireEarlier(stage, crowd, settings.sockets + CROWD)
    const exp = Math.floor(Date.now() / 1000) + LIFE_S
    const order = { port: stage.port, first: settings.sockets, count: CROWD, exp }
    const { opened } = await crowd.call('connect', order, CONNECT_MS)
    if (opened < CROWD) throw new Faulty(`${opened} of ${CROWD} sockets could connect`)
    const before = await phase()
    const phaseMs = (settings.messages / settings.perSecond) * 1000
    // Notices and closes come in the middle of the phase.
    const waitMs = exp * 1000 - (NOTICE_S * 1000) / 2 - phaseMs / 2 - Date.now()
    if (waitMs < 0) throw new Faulty(`the crowd was open ${Math.round(-waitMs)} ms too late`)
    await sleep(waitMs)
    const during = await phase()
    const after = await phase()
    const { noticed, closed, lastCloseMs } = await crowd.call('stop', {}, CALL_MS)
    if (closed < CROWD) throw new Faulty(`${noticed} of ${CROWD} got a notice, ${closed} a close behind it`)
    const calmP99Ms = (before.p99Ms + after.p99Ms) / 2
    return { p99Ratio: during.p99Ms / calmP99Ms, calmP99Ms, ...during, noticed, closed, lastCloseMs }
  } finally {
    await child.end('SIGKILL')
  }
}

/** @param first the number of the first session. */
async function expireEarlier({ port }: Stage, crowd: Remote<ExpiringCommands>, first: number): Promise<void> {
  const exp = Math.floor(Date.now() / 1000) + EARLIER_LIFE_S
  await crowd.call('connect', { port, first, count: EARLIER, exp }, CONNECT_MS)
  await sleep((exp + 1) * 1000 - Date.now())
  const { closed } = await crowd.call('stop', {}, CALL_MS)
  if (closed < EARLIER) throw new Faulty(`${closed} of ${EARLIER} earlier sockets were closed a second after their end`)
}

export const expiry: Scenario = {
  name: 'expiry',
  about: `messages at a given pace (open loop): before, while and after ${CROWD} other sockets expire in one second`,
  subjects: [OURS.name],
  env: { AUTH_JWT_SECRET: JWT_SECRET, AUTH_JWT_SKEW: '0', AUTH_EXPIRY_NOTICE: `${NOTICE_S}s` },
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 20_000, perSecond: 2000, window: 0, rounds: 3 },
  open: ({ sockets }) => sockets + CROWD,
  long: true,
  quick: { sockets: 200, messages: 12_000, rounds: 1 },
  metrics: [
    { key: 'p99Ratio', label: 'p99 while the crowd expires, times that without', digits: 2, better: 'lower' },
    { key: 'calmP99Ms', label: 'publish to client p99 before and after, ms', digits: 2, better: 'context' },
    { key: 'p99Ms', label: 'publish to client p99 meanwhile, ms', digits: 2, better: 'lower' },
    { key: 'maxMs', label: 'publish to client max meanwhile, ms', digits: 1, better: 'lower' },
    { key: 'busy', label: 'subject busy meanwhile, % of a core', digits: 1, better: 'lower' },
    { key: 'noticed', label: 'sockets that got the notice', digits: 0, better: 'context' },
    { key: 'closed', label: 'sockets closed behind it', digits: 0, better: 'context' },
    { key: 'lastCloseMs', label: 'from exp to the last close, ms', digits: 0, better: 'lower' },
  ],
  round,
}
