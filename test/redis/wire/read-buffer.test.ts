import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Chunk } from '../../../src/redis/wire/chunk.ts'
import { ReadBuffer } from '../../../src/redis/wire/read-buffer.ts'
import { assertProperty } from '../../support/property.ts'

const KIB = 1024

/** A buffer whose reader uses as much as a test says, and the memory that the last chunk was in. */
function bufferWithReader() {
  const unread = new ReadBuffer()
  let last: Chunk | undefined
  /** Passes bytes to a reader that uses so many of what it gets. */
  const pass = (bytes: Buffer, used: (chunk: Chunk) => number, missing = 0): Chunk => {
    const read = (chunk: Chunk) => {
      last = chunk
      return used(chunk)
    }
    unread.pass(bytes, bytes.length, { missing, read })
    return last!
  }
  return { pass, all: (bytes: Buffer) => pass(bytes, (chunk) => chunk.length) }
}

const memoryOf = ({ bytes }: Chunk): ArrayBufferLike => bytes.buffer

describe('what a connection has read and not used yet', () => {
  it('is passed on with what follows it, in one piece', () => {
    const { pass } = bufferWithReader()
    assert.equal(String(pass(Buffer.from('abcd'), () => 3).bytes), 'abcd')
    assert.equal(String(pass(Buffer.from('ef'), () => 0).bytes), 'def')
    assert.equal(String(pass(Buffer.from('g'), () => 4).bytes), 'defg')
    assert.equal(String(pass(Buffer.from('h'), () => 1).bytes), 'h')
  })

  it('stays as it is while it is held, whatever follows', () => {
    const step = fc.record({
      size: fc.integer({ min: 1, max: 90 * KIB }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      missing: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 200 * KIB })),
      holds: fc.boolean(),
      releases: fc.boolean(),
    })
    assertProperty(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const { pass } = bufferWithReader()
        const held: { chunk: Chunk; content: Buffer }[] = []
        let rest = Buffer.alloc(0)
        steps.forEach(({ size, used, missing, holds, releases }, i) => {
          const bytes = Buffer.alloc(size, `${i}-`)
          const expected = Buffer.concat([rest, bytes])
          const count = Math.floor(used * expected.length)
          const chunk = pass(bytes, () => count, missing)
          assert.ok(chunk.bytes.equals(expected))
          rest = expected.subarray(count)
          if (holds) {
            chunk.hold()
            held.push({ chunk, content: expected })
          }
          for (const each of held) assert.ok(each.chunk.bytes.equals(each.content), 'a held chunk has changed')
          if (releases) held.shift()?.chunk.release()
        })
      }),
      { numRuns: 100 },
    )
  })

  it('is in the same memory again once nothing is held', () => {
    const { all } = bufferWithReader()
    const memory = memoryOf(all(Buffer.alloc(64 * KIB)))
    for (let i = 0; i < 100; i++) assert.equal(memoryOf(all(Buffer.alloc(64 * KIB))), memory)
    const held = all(Buffer.alloc(40 * KIB))
    held.hold()
    const other = memoryOf(all(Buffer.alloc(40 * KIB)))
    assert.notEqual(other, memory)
    held.release()
    for (let i = 0; i < 100; i++) assert.equal(memoryOf(all(Buffer.alloc(64 * KIB))), other)
  })

  it('finds room for all that waits in one tick, up to a megabyte', () => {
    const { all } = bufferWithReader()
    const used = new Set<ArrayBufferLike>()
    for (let tick = 0; tick < 20; tick++) {
      const held: Chunk[] = []
      for (let read = 0; read < 15; read++) {
        const chunk = all(Buffer.alloc(64 * KIB))
        chunk.hold()
        held.push(chunk)
        used.add(memoryOf(chunk))
      }
      for (const chunk of held) chunk.release()
    }
    // 64 KB that are doubled up to a megabyte.
    assert.equal(used.size, 5)
  })

  it('is put together without a copy for each read where its length is known', () => {
    const { pass } = bufferWithReader()
    const size = 8 * KIB * KIB + KIB
    const memories = new Set<ArrayBufferLike>()
    // The last read brings the beginning of the next value.
    for (let at = 0; at < size; at += 64 * KIB)
      memories.add(memoryOf(pass(Buffer.alloc(64 * KIB), (chunk) => (chunk.length >= size ? size : 0), size - at)))
    assert.equal(memories.size, 1)
  })

  it('gives back the memory of a value that was large', () => {
    const { pass, all } = bufferWithReader()
    const size = 2 * KIB * KIB
    pass(Buffer.alloc(size / 2), () => 0, size)
    const chunk = pass(Buffer.alloc(size / 2), (each) => each.length, size / 2)
    assert.ok(memoryOf(chunk).byteLength >= size)
    assert.ok(memoryOf(all(Buffer.from('small'))).byteLength <= KIB * KIB)
  })
})
