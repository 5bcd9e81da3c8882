/**
 * Changes the inputs of each corpus at random and keeps those that reach code which no input has
 * reached so far (block coverage of V8). Stops at the first fault, and prints its input as a line
 * for the corpus.
 */
import { randomInt } from 'node:crypto'
import { type Profiler, Session } from 'node:inspector'
import { parseArgs } from 'node:util'
import { Random } from '../chaos/random.ts'
import { corpusOf, lineOf, mutated } from './corpus.ts'
import { TARGETS, type Target } from './targets.ts'

/** One reading of the coverage costs some milliseconds, so many inputs share one. */
const BATCH = 100
const MAX_POOL = 2000

const session = new Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

const seen = new Set<string>()

/** Whether code of ours ran since the last call that never ran before. */
function hasNewCode(): boolean {
  let isNew = false
  session.post(
    'Profiler.takePreciseCoverage',
    (error: Error | null, taken?: Profiler.TakePreciseCoverageReturnType) => {
      if (error !== null || taken === undefined) throw error ?? new Error('V8 returned no coverage')
      for (const { url, functions } of taken.result.filter((each) => each.url.includes('/dist/src/')))
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges) {
            const block = `${url}:${startOffset}:${endOffset}`
            if (count === 0 || seen.has(block)) continue
            seen.add(block)
            isNew = true
          }
    },
  )
  return isNew
}

/** Returns the input that shows a fault, and undefined when the time is over. */
function fuzz({ name, run }: Target, until: number, random: Random): Buffer | undefined {
  const pool = corpusOf(name)
  const faulty = (input: Buffer): boolean => {
    try {
      run(input)
      return false
    } catch (error) {
      console.log(error)
      return true
    }
  }
  const known = pool.length
  const bad = pool.find(faulty)
  if (bad !== undefined) return bad
  hasNewCode()
  let inputs = 0
  while (Date.now() < until) {
    const batch = Array.from({ length: BATCH }, () => mutated(random, random.pick(pool), random.pick(pool)))
    for (const input of batch) if (faulty(input)) return input
    inputs += batch.length
    // Which of them it was is not worth a reading for each: their changes go on from all.
    if (hasNewCode() && pool.length < MAX_POOL) pool.push(...batch)
  }
  console.log(`${name}: ${inputs} inputs from ${known} of the corpus and ${pool.length - known} that reached new code`)
  return undefined
}

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, seed: text } })
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
const msEach = (Number(values.minutes ?? 1) * 60_000) / TARGETS.length
console.log(`seed ${seed}, ${Math.round(msEach / 1000)} s for each parser`)
for (const target of TARGETS) {
  const input = fuzz(target, Date.now() + msEach, new Random(seed))
  if (input === undefined) continue
  console.log(`a fault; add this line to test/fixtures/corpus/${target.name}.txt:\n${lineOf(input)}`)
  process.exitCode = 1
}
session.disconnect()
