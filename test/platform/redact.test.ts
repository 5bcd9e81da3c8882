import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { protect, redact, redactIn } from '../../src/platform/redact.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { assertProperty } from '../support/property.ts'

const HOSTILE = [
  'plain-secret-of-a-test',
  'plain-secret-of-a-test-and-more',
  `a.*+?^${'{}'}()|[]\\/-b`,
  '$&$1$`',
  'two\nlines\tand "quotes"',
  "it's 'quoted'",
  'p@ss/w:rd#?&=%41 +x',
  'ünï-çødé-🔑',
  '\\u0041\\n',
]

describe('a known secret', () => {
  protect(HOSTILE)

  it('is replaced in every form in which it may be written', () => {
    for (const secret of HOSTILE) {
      const forms = {
        raw: secret,
        json: JSON.stringify({ secret }),
        'json in json': JSON.stringify({ message: JSON.stringify({ secret }) }),
        'a JSON line of an error': JSON.stringify({
          err: { message: `bad ${secret}`, stack: inspect(new Error(secret)) },
        }),
        inspected: inspect({ secret }),
        component: encodeURIComponent(secret),
        form: new URLSearchParams({ secret }).toString(),
        url: Object.assign(new URL('redis://user@host:1/0'), { password: secret }).href,
        base64: Buffer.from(secret).toString('base64'),
        'base64 without padding': Buffer.from(secret).toString('base64url'),
        hex: Buffer.from(secret).toString('hex').toUpperCase(),
        'lower case escapes': encodeURIComponent(secret).replace(/%../g, (byte) => byte.toLowerCase()),
        'an error of Redis': `ERR unknown command, with args beginning with: '${secret.replace(/[\r\n]/g, ' ')}'`,
        'ASCII JSON': JSON.stringify(secret).replace(
          /[^ -~]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
        ),
      }
      for (const [form, text] of Object.entries(forms)) {
        const shown = redact(`before ${text} after`)
        assert.ok(shown.startsWith('before ') && shown.endsWith(' after') && shown.includes('***'), `${form}: ${shown}`)
        assert.ok(!shown.includes(secret), `${form}: ${shown}`)
      }
    }
  })

  it('is replaced in the base64 of a text around it, as in basic authentication', () => {
    for (const secret of HOSTILE) {
      for (const user of ['', 'u', 'us', 'default', 'ünï'])
        for (const end of ['', ':', '@host', '\n']) {
          const text = Buffer.from(`${user}:${secret}${end}`).toString('base64')
          const shown = redact(`Basic ${text}`)
          const left = shown.slice('Basic '.length).split('***')
          assert.equal(left.length, 2, `${user} ${secret}: ${shown}`)
          // Of the secret, at most the bits in the characters that it shares with its neighbours.
          assert.ok(left[0]!.length <= Math.ceil((Buffer.byteLength(user) + 1) / 3) * 4, shown)
          assert.ok(left[1]!.length <= Math.ceil((end.length + 1) / 3) * 4 + 2, shown)
        }
    }
  })

  it('is replaced when it was cut, as Redis cuts the arguments that an error quotes', () => {
    const secret = 'f3a9c0d1'.repeat(8)
    protect([secret])
    for (const length of [24, 40, 63]) assert.equal(redact(`args '${secret.slice(0, length)}'`), "args '***'")
  })

  it('is replaced in plain data, also in names of members, and nothing else is changed', () => {
    const data = { list: [1, null, true, 'text', { deep: 'x' }], at: new Date(0), ['__proto__']: { a: 'b' } }
    assert.deepEqual(JSON.stringify(redactIn(data)), JSON.stringify(data))
    for (const secret of HOSTILE) {
      const shown = JSON.stringify(redactIn({ [secret]: [secret, { message: `in ${secret}`, n: 1 }] }))
      assert.equal(shown, '{"***":["***",{"message":"in ***","n":1}]}')
    }
    let deep: unknown = 'x'
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.ok(JSON.stringify(redactIn(deep)).length < 1000)
  })

  it('is replaced whole when another secret is how it begins', () => {
    assert.equal(redact('x plain-secret-of-a-test-and-more y'), 'x *** y')
    assert.equal(redact('x plain-secret-of-a-test y'), 'x *** y')
  })

  it('leaves lines of the log JSON, with the secret in a message, a field, an error and its cause', () => {
    const lines: string[] = []
    const log = createLogger('info', { write: (line: string) => void lines.push(line) })
    for (const secret of HOSTILE) {
      log.info({ field: secret, deep: { list: [secret] } }, `text ${secret}`)
      log.error({ err: new Error(`bad ${secret}`, { cause: new Error(secret) }) }, secret)
    }
    for (const line of lines) {
      const text = JSON.stringify(JSON.parse(line))
      for (const secret of HOSTILE) assert.ok(!text.includes(JSON.stringify(secret).slice(1, -1)), text)
    }
  })

  it('is replaced whatever it is made of', () => {
    const property = fc.property(fc.string({ minLength: 8, maxLength: 40, unit: 'binary' }), (text) => {
      const secret = text.trim()
      fc.pre(secret.length >= 8 && Buffer.from(secret).toString() === secret && !'before  after'.includes(secret))
      protect([secret])
      assert.ok(!redact(`<${secret}>`).includes(secret))
      assert.ok(redact(JSON.stringify([secret])).includes('***'))
    })
    assertProperty(property, { numRuns: 50 })
  })
})

it('a resume ticket is replaced in a text, as it is and in the base64 of a subprotocol', () => {
  const ticket = `wst1_${'Ab9_-'.repeat(40)}.${'x'.repeat(43)}`
  for (const text of [ticket, Buffer.from(ticket).toString('base64url'), ticket.slice(0, 30)]) {
    assert.equal(redact(`a ${text} b`), 'a *** b')
    assert.deepEqual(redactIn({ list: [text] }), { list: ['***'] })
  }
})
