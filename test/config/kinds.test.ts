import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convert, parseAddress, parseDuration, parseSize } from '../../src/config/kinds.ts'
import { assertProperty } from '../support/property.ts'

const MB = 1024 ** 2

describe('a duration', () => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['5s', 5000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['5', 5000],
    ['0', 0],
    ['0.5', 500],
    ['1.5s', 1500],
    ['1m30s', 90_000],
    ['1h30m', 5_400_000],
    ['1s500ms', 1500],
  ] as const) {
    it(`of ${text} is read as ${ms} ms`, () => assert.equal(parseDuration(text), ms))
  }

  for (const text of [
    '',
    ' ',
    's',
    '5 s',
    '-5s',
    '-1',
    '5x',
    '5sec',
    '1e3',
    'five',
    '5,5s',
    '.5s',
    '5.',
    '0x10',
    'NaN',
    'Infinity',
    '5S',
    '1m30',
    '5s\n',
  ]) {
    it(`is not read from ${JSON.stringify(text)}`, () => assert.equal(parseDuration(text), undefined))
  }

  it('with several units is the sum of its parts', () => {
    assertProperty(
      fc.property(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999), (h, m, s, ms) => {
        assert.equal(parseDuration(`${h}h${m}m${s}s${ms}ms`), ((h * 60 + m) * 60 + s) * 1000 + ms)
      }),
    )
  })
})

describe('a size', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['1000', 1000],
    ['64KB', 65_536],
    ['64KiB', 65_536],
    ['64K', 65_536],
    ['64 KB', 65_536],
    ['10MiB', 10 * MB],
    ['10mb', 10 * MB],
    ['1GB', 1024 * MB],
    ['1.5KB', 1536],
    ['512B', 512],
  ] as const) {
    it(`of ${text} is read as ${bytes} bytes`, () => assert.equal(parseSize(text), bytes))
  }

  for (const text of ['', 'KB', '-1', '1e3', '1TB', '10 MiB B', 'ten', '1,5KB', '0x10', '5iB', '64  KB']) {
    it(`is not read from ${JSON.stringify(text)}`, () => assert.equal(parseSize(text), undefined))
  }
})

describe('an address', () => {
  it('listens on all addresses when it names no host', () => {
    assert.deepEqual(parseAddress(':8081'), { host: '0.0.0.0', port: 8081 })
    assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 })
    assert.deepEqual(parseAddress('[::1]:9000'), { host: '::1', port: 9000 })
  })
})

describe('a bound of a setting', () => {
  it('is part of the allowed range and is quoted as it was declared', () => {
    const limits = { kind: 'duration', minimum: '10ms', maximum: '2s' } as const
    assert.deepEqual(convert('10ms', limits), { value: 10 })
    assert.deepEqual(convert('2000ms', limits), { value: 2000 })
    assert.deepEqual(convert('9ms', limits), { problem: 'must be at least 10ms' })
    assert.deepEqual(convert('2001ms', limits), { problem: 'must be at most 2s' })
  })

  it('keeps a duration within what a timer of Node can hold', () => {
    assert.deepEqual(convert('24d', { kind: 'duration' }), { value: 24 * 86_400_000 })
    assert.deepEqual(convert('25d', { kind: 'duration' }), { problem: 'must be at most 24d' })
  })
})
