/** Runs random seeds of the resume oracle until one fails or the time is over. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { type GroundName, seamPlanOf, seamTextOf } from './plan.ts'
import { runSeam } from './run.ts'

const GROUNDS: readonly GroundName[] = ['plain', 'sentinel', 'cluster', 'sharded']
const STEPS = 12
const SHOWN = 20

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, seed: text, ground: text } })
const until = Date.now() + Number(values.minutes ?? 30) * 60_000
const grounds = GROUNDS.filter((name) => values.ground === undefined || values.ground === name)
const given = values.seed === undefined ? undefined : Number(values.seed)
if (grounds.length === 0 || Number.isNaN(until) || Number.isNaN(given)) {
  console.error('usage: node dist/test/chaos/seam/main.js [--minutes 30] [--ground plain] [--seed N]')
  process.exit(2)
}
for (let i = 0; i < grounds.length || (given === undefined && Date.now() < until); i++) {
  const plan = seamPlanOf(given ?? randomInt(2 ** 31), grounds[i % grounds.length]!, STEPS)
  console.log(seamTextOf(plan))
  const { complaints, said, connections, lost, told, duplicated, reordered } = await runSeam(plan)
  console.log(
    `  ${said} messages, ${connections} connections: lost ${lost} = told ${told}, duplicated ${duplicated}, reordered ${reordered}`,
  )
  if (complaints.length === 0) continue
  for (const complaint of complaints.slice(0, SHOWN)) console.log(`  ${complaint.slice(0, 400)}`)
  console.log(`replay it with: node dist/test/chaos/seam/main.js --ground ${plan.ground} --seed ${plan.seed}`)
  process.exit(1)
}
