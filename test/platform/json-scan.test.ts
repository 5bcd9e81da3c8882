import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { kindAt, lastOf, membersOf, namesOf, stringOf } from '../../src/platform/json-members.ts'
import { jsonFault, MAX_JSON_DEPTH } from '../../src/platform/json-scan.ts'
import { corpusOf } from '../fuzz/corpus.ts'
import { assertProperty } from '../support/property.ts'

/** What `JSON.parse` says, as every door asked it before there was a scan. */
function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

const assertSame = (bytes: Buffer) =>
  assert.equal(
    jsonFault(bytes, MAX_JSON_DEPTH) === undefined,
    isJson(bytes),
    `${JSON.stringify(bytes.toString('latin1'))} (${bytes.toString('hex')})`,
  )

const nested = (depth: number, open = '[', inner = '', close = ']') => open.repeat(depth) + inner + close.repeat(depth)

/** Pieces of JSON and of what is nearly JSON, so that random sequences get far into the grammar. */
const PIECES = [
  ...'{}[],:"\\ \n\t\r0123456789-+.eEtfn\u0000\u001f\u007f/\'',
  ...['true', 'false', 'null', 'tru', 'nul', 'NaN', 'Infinity', '"a"', '"a":', '""', '":"', '\\u0041', '\\ud800'],
  ...['\\u00g0', '\\x', '\\"', '-0', '00', '1.', '.5', '1e5', '1E+', '1e-7', '0x1', '[]', '{}', '[1,2]', '{"a":1}'],
  ...['\u00e9', '\u2028', '\ufeff', '\u{1f600}', '/**/', '// x', ',]', ',}'],
]

const ODD_BYTES = [0xff, 0xfe, 0x80, 0xbf, 0xc0, 0xc2, 0xe2, 0xed, 0xa0, 0xf0, 0xf4, 0xef, 0xbb]

describe('the scan of JSON', () => {
  const piece = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...PIECES).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_BYTES).map((byte) => Buffer.from([byte])) },
  )
  const pieces = fc.array(piece, { maxLength: 24 }).map((parts) => Buffer.concat(parts))

  it('takes a random sequence of tokens exactly when JSON.parse takes it', () => {
    assertProperty(fc.property(pieces, assertSame), { numRuns: 20_000 })
  })

  it('takes any value as JSON.stringify writes it, with any white space', () => {
    const texts = fc
      .tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t', '\n'))
      .map(([value, space]) => Buffer.from(JSON.stringify(value, undefined, space)))
    assertProperty(
      fc.property(texts, (bytes) => assert.equal(jsonFault(bytes, MAX_JSON_DEPTH), undefined)),
      { numRuns: 2000 },
    )
  })

  it('agrees with JSON.parse on valid text with one byte changed, removed or added', () => {
    const mutated = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('set', 'cut', 'add', 'end'), fc.integer({ min: 0, max: 255 }))
      .map(([text, place, how, byte]) => {
        const bytes = Buffer.from(text)
        const at = place % (bytes.length + 1)
        const rest = how === 'set' || how === 'cut' ? at + 1 : at
        const added = how === 'set' || how === 'add' ? Buffer.from([byte]) : Buffer.alloc(0)
        return how === 'end'
          ? bytes.subarray(0, at)
          : Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(rest)])
      })
    assertProperty(fc.property(mutated, assertSame), { numRuns: 10_000 })
  })

  it('agrees with JSON.parse on every text of one or two bytes, and of three after a quote or a minus', () => {
    for (let a = 0; a < 256; a++) {
      assertSame(Buffer.from([a]))
      for (let b = 0; b < 256; b++) {
        assertSame(Buffer.from([a, b]))
        assertSame(Buffer.from([0x22, a, b, 0x22]))
        assertSame(Buffer.from([0x2d, a, b]))
        assertSame(Buffer.from([0x22, 0x5c, a, b, 0x22]))
      }
    }
  })

  it('agrees with JSON.parse on the corpus', () => {
    for (const input of corpusOf('json')) assertSame(input)
  })

  it('finds each special byte of a long string wherever it stands, at each alignment', () => {
    for (let offset = 0; offset < 4; offset++)
      for (let length = 60; length < 160; length++)
        for (const byte of [0x00, 0x1f, 0x20, 0x22, 0x5c, 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff])
          for (const at of [length - 3, length - 2, length - 1, length >> 1, 66, 65, 3]) {
            const buffer = Buffer.alloc(offset + length + 7, 'x')
            const bytes = buffer.subarray(offset, offset + length)
            bytes[0] = bytes[length - 1] = 0x22
            if (at < length) bytes[at] = byte
            assertSame(bytes)
          }
  })

  it('takes exactly the depth that is allowed, of arrays, of objects and of both', () => {
    for (const most of [1, 2, 128, MAX_JSON_DEPTH]) {
      const texts = (depth: number) => [
        nested(depth),
        nested(depth, '{"a":', '1', '}'),
        ` ${nested(depth, '[ ', '', ' ]')} `,
        `${'[{"a":'.repeat(depth >> 1)}${depth & 1 ? '[]' : '0'}${'}]'.repeat(depth >> 1)}`,
      ]
      for (const text of texts(most)) assert.equal(jsonFault(Buffer.from(text), most), undefined, text.slice(0, 60))
      for (const text of texts(most + 1)) assert.equal(jsonFault(Buffer.from(text), most), 'too-deep')
    }
    assert.equal(jsonFault(Buffer.from(`[${'[],'.repeat(5000)}[]]`), 2), undefined)
  })

  it('leaves a text that is nested too deep where it passes the limit', () => {
    assert.equal(jsonFault(Buffer.from(`${'['.repeat(129)} this is not JSON`), 128), 'too-deep')
  })
})

describe('the members of an object', () => {
  const NAMES = namesOf('type', 'data', 'a', '__proto__', '\u00e9')
  const found = (text: string) => {
    const bytes = Buffer.from(text)
    assert.equal(jsonFault(bytes, MAX_JSON_DEPTH), undefined)
    const members = membersOf(bytes, NAMES)
    return { bytes, members }
  }

  it('are found by name as JSON.parse finds them, the last of several, whatever stands around them', () => {
    const key = fc.oneof(fc.constantFrom('type', 'data', 'a', '__proto__', '\u00e9', 'typ', 'types', ''), fc.string())
    const escaped = fc.tuple(key, fc.boolean()).map(([name, all]) => {
      if (!all) return JSON.stringify(name)
      return `"${[...Array(name.length).keys()].map((i) => `\\u${name.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`
    })
    const space = fc.constantFrom('', ' ', '\n', '\t \r\n')
    const member = fc.tuple(escaped, fc.json({ maxDepth: 3 }), space)
    const text = fc
      .tuple(fc.array(member, { maxLength: 8 }), space)
      .map(
        ([all, end]) =>
          `${end}{${all.map(([name, value, gap]) => `${gap}${name}${gap}:${gap}${value}${gap}`).join(',')}${end}}`,
      )
    const property = fc.property(text, (source) => {
      const { bytes, members } = found(source)
      const value = JSON.parse(source) as Record<string, unknown>
      for (const [name] of NAMES) {
        const last = lastOf(members!, name)
        assert.equal(last !== undefined, Object.hasOwn(value, name))
        if (last === undefined) continue
        const own = Object.getOwnPropertyDescriptor(value, name)!.value
        assert.deepEqual(JSON.parse(bytes.toString('utf8', last.valueStart, last.valueEnd)), own)
        assert.equal(stringOf(bytes, last, 10_000), typeof own === 'string' ? own : undefined)
        const kind = own === null ? 'null' : Array.isArray(own) ? 'array' : typeof own
        assert.equal(kindAt(bytes, last.valueStart), kind)
      }
      assert.equal(bytes[members!.close], '}'.charCodeAt(0))
    })
    assertProperty(property, { numRuns: 3000 })
  })

  it('are none where the text is no object', () => {
    for (const text of ['[{"type":1}]', '"{}"', '7', 'null']) assert.equal(found(text).members, undefined)
  })
})
