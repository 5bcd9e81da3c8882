import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isTopic } from '../../../src/contract/names.ts'
import { LiveTopics, viewOf } from '../../../src/doors/live/topics.ts'
import { assertProperty } from '../../support/property.ts'

const EXTRA = ['news', 'build.*', 'x*']
const names = fc.oneof(
  fc.constantFrom('agents', 'news', 'build.', 'build.1', 'build.2', 'xx', 'x', 'BUILD.1', '__proto__', ''),
  fc.string(),
)
const list = fc.array(names, { maxLength: 30 })

describe('the topics of the live door', () => {
  it('the chosen topics are known, unique and within the cap, and none is lost', () => {
    const property = fc.property(list, list, fc.integer({ min: 1, max: 12 }), (asked, before, most) => {
      const topics = new LiveTopics(EXTRA, most)
      const held = topics.choose(before, [], isTopic).added
      const { added, unknown, over } = topics.choose(asked, held, isTopic)
      assert.ok(held.length + added.length <= most)
      const wanted = [...new Set(asked)].filter((name) => !held.includes(name) && !unknown.includes(name))
      assert.deepEqual(added, wanted.slice(0, added.length))
      assert.equal(over, wanted.length > added.length)
      if (over) assert.equal(held.length + added.length, most)
      assert.deepEqual(unknown, [...new Set(unknown)].sort())
      for (const name of unknown) assert.ok(!isTopic(name) || topics.entryOf(name) === undefined)
      for (const name of added) assert.ok(isTopic(name) && topics.entryOf(name) !== undefined)
    })
    assertProperty(property, { numRuns: 1000 })
  })

  it('a topic is admitted by the entry of the list that matches its name', () => {
    const topics = new LiveTopics(EXTRA, 10)
    assert.deepEqual(
      ['news', 'build.7', 'xyz', 'agents'].map((name) => topics.entryOf(name)),
      ['news', 'build.*', 'x*', 'agents'],
    )
    assert.deepEqual(
      ['build.', 'x', 'nope', 'constructor'].map((name) => topics.entryOf(name)),
      [undefined, undefined, undefined, undefined],
    )
    assert.deepEqual(topics.entries, [...topics.entries].sort())
  })

  it('a view starts with no more topics than the cap', () => {
    for (const view of ['dashboard', 'agents', 'coordination', 'tasks', 'system'] as const) {
      assert.equal(viewOf(view), view)
      for (let most = 1; most < 7; most++) assert.ok(new LiveTopics([], most).start(view).length <= most)
    }
    for (const name of ['', 'toString', 'Agents']) assert.equal(viewOf(name), undefined)
  })
})
