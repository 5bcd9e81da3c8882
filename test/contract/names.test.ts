import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isId, sessionAuth, sessionDown, sessionUp } from '../../src/contract/names.ts'
import { assertProperty } from '../support/property.ts'

const ALPHABET = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-']

describe('an id', () => {
  it('consists of 1 to 128 of A-Z, a-z, 0-9, _, . and -', () => {
    const ids = fc.array(fc.constantFrom(...ALPHABET), { minLength: 1, maxLength: 128 })
    assertProperty(fc.property(ids, (characters) => isId(characters.join(''))))
    assert.ok(isId('x'.repeat(128)))
    assert.ok(!isId('x'.repeat(129)))
    assert.ok(!isId(''))
  })

  it('is invalid with any other character at any place', () => {
    const other = fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }).filter((each) => !/^[\w.-]+$/.test(each))
    assertProperty(
      fc.property(fc.constantFrom('', 'a', 'ab'), other, fc.constantFrom('', 'z'), (before, wrong, after) => {
        assert.ok(!isId(before + wrong + after))
      }),
    )
    for (const wrong of ['a:b', 'a*', 'a?', '[a]', 'a b', 'a\n', '\na', 'a/b', 'a%3Ab', 'é', '🔑', 'a\0', 'a;b']) {
      assert.ok(!isId(wrong), JSON.stringify(wrong))
    }
  })

  it('makes Redis names that differ for each id and purpose', () => {
    const id = fc.array(fc.constantFrom('a', 'b', '.', '-', '_'), { minLength: 1, maxLength: 4 }).map((x) => x.join(''))
    assertProperty(
      fc.property(id, id, (one, other) => {
        const names = [sessionDown, sessionUp, sessionAuth].flatMap((name) => [name(one), name(other)])
        assert.equal(new Set(names).size, one === other ? 3 : 6)
      }),
    )
    assert.equal(sessionDown('s1'), 'session:s1:down')
    assert.equal(sessionUp('s1'), 'session:s1:up')
    assert.equal(sessionAuth('s1'), 'session:s1:auth')
  })
})
