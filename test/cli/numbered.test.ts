import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NumberedClient } from '../../src/cli/numbered.ts'

describe('a numbered client on the command line', () => {
  it('comes back behind the newest message, and says what has no number', () => {
    const client = new NumberedClient()
    const position = '{"type":"control","command":"position","epoch":"e1","offset":3}'
    assert.deepEqual(client.read(position), { note: position })
    assert.deepEqual(client.read('4 {"n":1}'), { message: '{"n":1}' })
    assert.deepEqual(client.read('- not  JSON'), { message: 'not  JSON' })
    for (const frame of ['', 'x', '4', '-4 x', '12345678901234567 x'])
      assert.deepEqual(client.read(frame), { note: `a message came without a number: ${frame}` })
    assert.equal(client.urlFrom(new URL('ws://gw/a/ws/s')).search, '?cursor=e1.4&else=oldest')
  })
})
