/**
 * A flood of logins with wrong passwords while others get messages at a given pace: what the others
 * notice. As many requests that cost nothing, in the same round, show what HTTP alone costs.
 */
import { exchange, paced, prepare } from '../acts/exchange.ts'
import { latenciesOfOthers } from '../acts/others.ts'
import { sleep } from '../load/clock.ts'
import { Remote } from '../load/ipc.ts'
import { JWT_SECRET } from '../load/jwts.ts'
import type { Answers, LoginsCommands } from '../load/logins.ts'
import { Faulty, type Scenario, type Settings, type Values } from '../scenario.ts'
import { forkChild } from '../stage/children.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const PER_SECOND = 1000
/** The rates of the logins have filled, and the first hashes are made. */
const SETTLE_MS = 1000
const MANY = 100_000
const FEW = 5
const LOGIN = '/api/auth/login'

async function round(stage: Stage, settings: Settings): Promise<Values> {
  await prepare(stage, settings, paced)
  let published = paced.warmUp(settings)
  await exchange(stage, paced, published, published, settings)
  const child = forkChild('logins', new URL('../load/logins.js', import.meta.url))
  // These clients stand for other machines.
  child.takeTimeThatIsLeft()
  const attacker = new Remote<LoginsCommands>(child.process, child.name)
  const phase = () => {
    published += settings.messages
    return latenciesOfOthers(stage, settings, published)
  }
  const attacked = async (path: string, addresses: number) => {
    await attacker.call('flood', { port: stage.port, path, addresses, perSecond: PER_SECOND }, CALL_MS)
    await sleep(SETTLE_MS)
    const looked = await phase()
    return { ...looked, answers: await attacker.call('stop', {}, CALL_MS) }
  }
  try {
    const before = await phase()
    const requests = await attacked('/api/auth/no-such-call', MANY)
    const logins = await attacked(LOGIN, MANY)
    const few = await attacked(LOGIN, FEW)
    const after = await phase()
    const calmP99Ms = (before.p99Ms + after.p99Ms) / 2
    return {
      p99Ratio: logins.p99Ms / calmP99Ms,
      fewRatio: few.p99Ms / calmP99Ms,
      requestsRatio: requests.p99Ms / calmP99Ms,
      calmP99Ms,
      p99Ms: logins.p99Ms,
      busy: logins.busy,
      requestsBusy: requests.busy,
      hashed: hashedOf(logins.answers),
      perSecond: sumOf(logins.answers) / (settings.messages / settings.perSecond + SETTLE_MS / 1000),
    }
  } finally {
    await child.end('SIGKILL')
  }
}

const sumOf = (answers: Answers): number => Object.values(answers).reduce((sum, count) => sum + count, 0)

/** Logins whose password was looked at: the others were refused before. */
function hashedOf(answers: Answers): number {
  const { 401: hashed = 0 } = answers
  if (hashed === 0) throw new Faulty(`no login was looked at: ${JSON.stringify(answers)}`)
  return hashed
}

export const logins: Scenario = {
  name: 'login-flood',
  about: `messages at a given pace (open loop): beside nothing, ${PER_SECOND} requests a second, and as many logins`,
  subjects: [OURS.name],
  env: { AUTH_LOGIN: 'true', AUTH_JWT_SECRET: JWT_SECRET, TRUST_PROXY: 'x-forwarded-for' },
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 20_000, perSecond: 2000, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 200, messages: 6000, rounds: 1 },
  metrics: [
    { key: 'p99Ratio', label: 'p99 with logins of many addresses, times that without', digits: 2, better: 'lower' },
    { key: 'fewRatio', label: `p99 with logins of ${FEW} addresses, times that without`, digits: 2, better: 'lower' },
    { key: 'requestsRatio', label: 'p99 with requests that are 404, times that without', digits: 2, better: 'context' },
    { key: 'calmP99Ms', label: 'publish to client p99 before and after, ms', digits: 2, better: 'context' },
    { key: 'p99Ms', label: 'publish to client p99 with logins, ms', digits: 2, better: 'lower' },
    { key: 'busy', label: 'subject busy with logins, % of a core', digits: 1, better: 'lower' },
    {
      key: 'requestsBusy',
      label: 'subject busy with requests that are 404, % of a core',
      digits: 1,
      better: 'context',
    },
    { key: 'hashed', label: 'logins whose password was looked at', digits: 0, better: 'context' },
    { key: 'perSecond', label: 'logins answered a second', digits: 0, better: 'context' },
  ],
  round,
}
