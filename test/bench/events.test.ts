import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventReader } from '../../bench/load/events.ts'

/** As uWebSockets.js writes a chunk: the line end of the one before, the size, the text. */
const chunk = (text: string, isFirst = false) => `${isFirst ? '' : '\r\n'}${text.length.toString(16)}\r\n${text}`

describe('the reader of events', () => {
  it('passes every event on, wherever the bytes are cut, and no comment', () => {
    const text =
      chunk(':\n\n', true) +
      chunk('retry: 1\nid: e.1\nevent: position\ndata: {}\n\n') +
      chunk('id: e.2\ndata: a\n\nid: e.3\ndata: b\n\n') +
      chunk(`data: ${'x'.repeat(200)}\n\n`)
    for (let size = 1; size <= text.length; size++) {
      const events: string[] = []
      const reader = new EventReader({
        message: (bytes, start, length) =>
          void events.push(Buffer.from(bytes).toString('latin1', start, start + length)),
        control: () => assert.fail(),
        fault: () => assert.fail(),
      })
      const all = Buffer.from(text)
      for (let at = 0; at < all.length; at += size) {
        const part = all.subarray(at, at + size)
        reader.read(part, part.length)
      }
      assert.deepEqual(events, [
        'retry: 1\nid: e.1\nevent: position\ndata: {}',
        'id: e.2\ndata: a',
        'id: e.3\ndata: b',
        `data: ${'x'.repeat(200)}`,
      ])
    }
  })
})
