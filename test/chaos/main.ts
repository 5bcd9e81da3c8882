/** Runs random seeds one after the other until one fails or the time is over, or sends garbage. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { withoutHaproxy } from '../support/redis-balancer.ts'
import { attack } from './attack.ts'
import { runChaos } from './chaos.ts'
import { failOverText, runFailOver } from './fail-over.ts'
import { textOf } from './plan.ts'

const USAGE = 'usage: node dist/test/chaos/main.js [--minutes 30 | --garbage 200000] [--seed N]'
const SHOWN = 20
const GROWTH_BYTES = 24 * 1024 * 1024

/** Each fourth seed is a plan of fail-overs behind one address. */
const FAIL_OVERS = 4

async function run(seed: number) {
  if (seed % FAIL_OVERS > 0 || withoutHaproxy) {
    const outcome = await runChaos(seed)
    return { ...outcome, text: textOf(outcome.plan) }
  }
  const ends: (() => unknown)[] = []
  const outcome = await runFailOver({ after: (end) => ends.push(end) }, seed)
  for (const end of ends) await end()
  return { ...outcome, text: `${failOverText(outcome.plan)}\n  followed in at most ${outcome.slowestMs} ms` }
}

async function chaos(minutes: number, given: number | undefined): Promise<boolean> {
  const until = Date.now() + minutes * 60_000
  do {
    const seed = given ?? randomInt(2 ** 31)
    const { text, complaints, sockets, down, up } = await run(seed)
    console.log(text)
    console.log(`  ${sockets} sockets, ${down} messages down, ${up} frames up: ${complaints.length} complaints`)
    if (complaints.length > 0) {
      for (const complaint of complaints.slice(0, SHOWN)) console.log(`  ${complaint}`)
      console.log(`replay it with: node dist/test/chaos/main.js --seed ${seed}`)
      return false
    }
  } while (given === undefined && Date.now() < until)
  return true
}

async function garbage(inputs: number, seed: number): Promise<boolean> {
  const survival = await attack(seed, inputs)
  console.log(JSON.stringify({ seed, ...survival }))
  const { published, arrived, standing, open, internalErrors, warmBytes, endBytes } = survival
  const well = standing && arrived === published && open === 0 && internalErrors === 0
  const flat = endBytes < warmBytes + GROWTH_BYTES
  if (!well || !flat) console.log(`replay it with: node dist/test/chaos/main.js --garbage ${inputs} --seed ${seed}`)
  return well && flat
}

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, seed: text, garbage: text } })
const whole = (value: string | undefined) => (value === undefined ? undefined : Number(value))
const [minutes = 30, seed, inputs] = [whole(values.minutes), whole(values.seed), whole(values.garbage)]
if (!(minutes >= 0) || [seed, inputs].some((value) => value !== undefined && !Number.isInteger(value))) {
  console.error(USAGE)
  process.exit(2)
}
const done = inputs === undefined ? chaos(minutes, seed) : garbage(inputs, seed ?? randomInt(2 ** 31))
process.exit((await done) ? 0 : 1)
