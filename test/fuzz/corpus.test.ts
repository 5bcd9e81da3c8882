import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Random } from '../chaos/random.ts'
import { corpusOf, lineOf, mutated } from './corpus.ts'
import { TARGETS } from './targets.ts'

const MUTATIONS = 3000

/** The same in every run; `npm run nightly` goes on from random seeds. */
const SEED = 20_240_601

for (const { name, run } of TARGETS) {
  describe(`the parser of ${name}`, () => {
    const corpus = corpusOf(name)
    const check = (input: Buffer) => {
      try {
        run(input)
      } catch (error) {
        throw new Error(`the input is ${lineOf(input)}`, { cause: error })
      }
    }

    it('takes every input of its corpus', () => {
      assert.ok(corpus.length >= 20, `${corpus.length} inputs`)
      for (const input of corpus) check(input)
    })

    it('takes inputs that are changed at random', () => {
      const random = new Random(SEED)
      for (let n = 0; n < MUTATIONS; n++) check(mutated(random, random.pick(corpus), random.pick(corpus)))
    })
  })
}

describe('a line of a corpus', () => {
  it('is read as the bytes that it was written from', () => {
    const random = new Random(SEED)
    for (let n = 0; n < 200; n++) {
      const bytes = random.bytes(random.int(0, 40))
      assert.deepEqual(Buffer.from(JSON.parse(`"${lineOf(bytes)}"`), 'latin1'), bytes)
    }
  })
})
