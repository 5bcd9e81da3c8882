import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Chunk } from '../../../src/redis/wire/chunk.ts'
import { ReadBuffer } from '../../../src/redis/wire/read-buffer.ts'
import { RespReader } from '../../../src/redis/wire/resp.ts'

const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
const message = (payload: string) => Buffer.from(`>3\r\n${bulk('message')}${bulk('c')}${bulk(payload)}`)

/** What is said of each message of these chunks. */
function said(chunks: Buffer[], word = Buffer.from('_end')): [string, boolean, boolean][] {
  const all: [string, boolean, boolean][] = []
  const reader = new RespReader({
    message: (_, payload, __, chunk) => all.push([payload.toString(), chunk.ascii, chunk.has(word)]),
    push: () => {},
    reply: () => {},
  })
  const unread = new ReadBuffer()
  for (const chunk of chunks) unread.pass(chunk, chunk.length, reader)
  return all
}

describe('what is said of messages that came together', () => {
  it('computes the facts of a chunk for all its messages and no others', () => {
    const together = Buffer.concat(['one', 'the_end', 'é'].map(message))
    assert.deepEqual(said([message('before'), together, message('after')]), [
      ['before', true, false],
      ['one', false, true],
      ['the_end', false, true],
      ['é', false, true],
      ['after', true, false],
    ])
  })

  it('computes the facts of a message that arrived in two chunks, wherever it was cut', () => {
    for (const text of ['the_end', 'né']) {
      const whole = Buffer.concat([message('x'), message(text), message('y')])
      for (let at = 1; at < whole.length; at++) {
        const [, [, ascii, has] = []] = said([whole.subarray(0, at), whole.subarray(at)])
        assert.deepEqual(
          [text, ascii, has],
          text === 'né' ? ['né', false, false] : ['the_end', true, true],
          `cut at ${at}`,
        )
      }
    }
  })

  it('searches a chunk again for another text', () => {
    const chunk = new Chunk(Buffer.from('a_b'))
    const [one, other] = [Buffer.from('_b'), Buffer.from('_c')]
    assert.deepEqual(
      [one, other, one].map((each) => chunk.has(each)),
      [true, false, true],
    )
  })
})
