import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { closes, frameErrors, liveErrors, refusals } from '../../src/contract/codes.ts'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'

const PAGE = readFileSync(new URL('../../../docs/reference/protocol.md', import.meta.url), 'utf8')

/** The rows of the first table after a heading, each as its cells. */
function table(heading: string): string[][] {
  const [, section = ''] = PAGE.split(new RegExp(`\\n##+ ${heading}\\n`))
  const lines = section.split(/\n##+ /)[0]!.split('\n')
  const rows = lines.filter((line) => line.startsWith('|')).slice(2)
  assert.ok(rows.length > 0, `there is a table under "${heading}"`)
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}
const bare = (cell: string | undefined) => String(cell).replaceAll('`', '')
const retryAfter = (cells: string[]) => cells.join(' ').includes('(`Retry-After`)')

describe('the codes and the page of the protocol', () => {
  it('have the same refusals with the same status', () => {
    const documented = table('Refusals before the upgrade').map(([code, status]) => [bare(code), Number(status)])
    const real = Object.values(refusals).map(({ code, status }) => [code, Number(status.slice(0, 3))])
    assert.deepEqual(documented.sort(), real.sort())
  })

  it('agree on which refusals say when to come back', () => {
    const documented = table('Refusals before the upgrade').filter(retryAfter)
    const real = Object.values(refusals).filter((each) => each.retryAfter)
    assert.deepEqual(documented.map(([code]) => bare(code)).sort(), real.map(({ code }) => code).sort())
  })

  it('name the same headers of a refusal', () => {
    const rows = new Map(table('Refusals before the upgrade').map((cells) => [bare(cells[0]), cells.join(' ')]))
    for (const { code, headers } of Object.values(refusals)) {
      if (code === 'credentials-malformed') continue
      for (const name of Object.keys(headers ?? {})) {
        if (name === 'Upgrade' && code !== 'upgrade-required') continue
        assert.ok(rows.get(code)?.includes(name), `${code}: ${name}`)
      }
    }
  })

  it('have the same close codes', () => {
    const documented = table('Close codes').map(([code]) => Number(code))
    assert.deepEqual(
      documented.sort(),
      Object.values(closes)
        .map(({ code }) => code)
        .sort(),
    )
  })

  it('have the same error codes', () => {
    const documented = table('Error codes').map(([code]) => bare(code))
    assert.deepEqual(documented.sort(), Object.keys(frameErrors).sort())
  })

  it('have the same error codes of the live door, with the words that their messages begin with', () => {
    const documented = table('Live error codes').map(([code, words]) => [bare(code), words])
    assert.deepEqual(documented.sort(), Object.entries(liveErrors).sort())
  })

  it('name no code elsewhere on the page that does not exist', () => {
    const known = new Set<string>([refusals, frameErrors, liveErrors].flatMap((each) => Object.keys(each)))
    const named = [...PAGE.matchAll(/"code":"([a-z-]+)"/g)].map(([, code]) => code!)
    assert.ok(named.length > 0)
    for (const code of named) assert.ok(known.has(code), code)
    for (const [, code] of PAGE.matchAll(/(?:closed? with|close) (\d{4})/g)) {
      assert.ok(
        Object.values(closes).some((each) => each.code === Number(code)),
        `close ${code}`,
      )
    }
  })
})

describe('the codes', () => {
  it('say in a refusal what HTTP demands of its status', () => {
    for (const { code, status, headers = {}, message } of Object.values(refusals)) {
      assert.match(status, /^[45]\d\d [A-Z]/, code)
      assert.match(message, /^[A-Z].*\.$/, code)
      if (status.startsWith('401')) assert.match(headers['WWW-Authenticate'] ?? '', /^Bearer/, code)
      if (status.startsWith('426')) assert.equal(headers.Upgrade, 'websocket', code)
    }
    assert.equal(refusals['unsupported-version'].headers?.['Sec-WebSocket-Version'], '13')
  })

  it('ask for a later attempt exactly where one may help: 429 and 503', () => {
    for (const { code, status, retryAfter: comesBack = false } of Object.values(refusals)) {
      assert.equal(comesBack, /^(429|503)/.test(status), code)
    }
  })

  it('fit into a close frame, and are numbers that a server may send', () => {
    for (const { code, reason } of Object.values(closes)) {
      assert.ok(Buffer.byteLength(reason) <= 123)
      assert.ok((code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 4000 && code <= 4999))
    }
    const codes = Object.values(closes).map(({ code }) => code)
    assert.equal(new Set(codes).size, codes.length)
  })

  it('cannot be changed', () => {
    assert.throws(() => {
      ;(refusals as Record<string, unknown>)['not-found'] = undefined
    }, TypeError)
    assert.throws(() => {
      ;(refusals['not-found'] as { status: string }).status = '200 OK'
    }, TypeError)
  })

  it('keep the cause of a Redis that is away', () => {
    const cause = new Error('socket closed')
    const error = new RedisUnavailable('lost', { cause })
    assert.equal(error.name, 'RedisUnavailable')
    assert.equal(error.cause, cause)
  })
})
