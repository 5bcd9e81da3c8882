import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { closeFor, closeLabel, closes, frameErrors, idleClose, liveErrors, refusals } from '../../src/contract/codes.ts'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'
import { PAGES, page, section, tableRows } from '../support/pages.ts'

const PAGE = 'docs/reference/codes.md'
/** The rows of the table below a heading of the page of codes. */
const table = (heading: string): string[][] => tableRows(section(PAGE, heading))
const retryAfter = (cells: string[]) => cells.join(' ').includes('(Retry-After)')

describe('the codes and their page', () => {
  it('have the same refusals with the same status and close code', () => {
    const rows = table('Refusals before the upgrade')
    const documented = rows.map(([code, status, close]) => [code, Number(status), Number(close)])
    const real = Object.values(refusals).map(({ code, status, close }) => [code, Number(status.slice(0, 3)), close])
    assert.deepEqual(documented.sort(), real.sort())
  })

  it('agree on which refusals carry Retry-After', () => {
    const documented = table('Refusals before the upgrade').filter(retryAfter)
    const real = Object.values(refusals).filter((each) => each.retryAfter)
    assert.deepEqual(documented.map(([code]) => code).sort(), real.map(({ code }) => code).sort())
  })

  it('name the same headers of a refusal', () => {
    const rows = new Map(table('Refusals before the upgrade').map((cells) => [cells[0]!, cells.join(' ')]))
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
    const real = [
      ...Object.values(closes).map(({ code }) => code),
      ...Object.values(refusals).map(({ close }) => close),
    ]
    assert.deepEqual(documented.sort(), [...new Set(real)].sort())
  })

  it('have the same error codes', () => {
    const documented = table('Error codes of sessions').map(([code]) => code)
    assert.deepEqual(documented.sort(), Object.keys(frameErrors).sort())
  })

  it('have the same error codes of the live door, with the first words of their messages', () => {
    const documented = table('Error codes of the live door').map(([code, words]) => [code, words])
    assert.deepEqual(documented.sort(), Object.entries(liveErrors).sort())
  })

  it('are the only codes that README.md and the pages of docs name', () => {
    const known = new Set<string>([refusals, frameErrors, liveErrors].flatMap((each) => Object.keys(each)))
    const text = PAGES.map(page).join('\n')
    const named = [...text.matchAll(/"code":"([a-z-]+)"/g)].map(([, code]) => code!)
    assert.ok(named.length > 0)
    for (const code of named) assert.ok(known.has(code), code)
    for (const [, code] of text.matchAll(/(?:closed? with|close) (\d{4})/g)) {
      if (code === '1006') continue
      assert.ok(
        Object.values(closes).some((each) => each.code === Number(code)) ||
          Object.values(refusals).some((each) => each.close === Number(code)),
        `close ${code}`,
      )
    }
  })
})

describe('the codes', () => {
  it('carry the headers that HTTP requires for the status of a refusal', () => {
    for (const { code, status, headers = {}, message } of Object.values(refusals)) {
      assert.match(status, /^[45]\d\d [A-Z]/, code)
      assert.match(message, /^[A-Z].*\.$/, code)
      if (status.startsWith('401')) assert.match(headers['WWW-Authenticate'] ?? '', /^Bearer/, code)
      if (status.startsWith('426')) assert.equal(headers.Upgrade, 'websocket', code)
    }
    assert.equal(refusals['unsupported-version'].headers?.['Sec-WebSocket-Version'], '13')
  })

  it('ask for a later attempt with 429 and 503 only, where it can succeed', () => {
    for (const { code, status, retryAfter: comesBack = false } of Object.values(refusals)) {
      assert.equal(comesBack, /^(429|503)/.test(status), code)
    }
  })

  it('fit into a close frame and are in the ranges that a server may send', () => {
    for (const { code, reason } of Object.values(closes)) {
      assert.ok(Buffer.byteLength(reason) <= 123)
      assert.ok((code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 4000 && code <= 4999))
    }
    // Two closes may share a code, and then differ by their reasons.
    const pairs = Object.values(closes).map(({ code, reason }) => `${code} ${reason}`)
    assert.equal(new Set(pairs).size, pairs.length)
  })

  it('are metric labels of their own, while an unknown code of a client counts as `other`', () => {
    for (const { code } of Object.values(closes)) assert.equal(closeLabel(code), String(code))
    for (const code of [1005, 1006]) assert.equal(closeLabel(code), String(code))
    for (const code of [0, 1004, 3000, 4000, 4999]) assert.equal(closeLabel(code), 'other')
  })

  it('each have a reason of disconnect_notice, and the page lists those after which a client reconnects', () => {
    const [, list = ''] = /^Reasons of `disconnect_notice`: (.*)$/m.exec(page('docs/reference/protocol.md')) ?? []
    const documented = new Set([...list.matchAll(/`([\w-]+)`/g)].map(([, reason]) => reason!))
    const all = [...Object.values(closes), idleClose]
    assert.equal(new Set(all.map(({ notice }) => notice)).size, all.length)
    for (const { notice, reconnect } of all) if (reconnect) assert.ok(documented.has(notice), notice)
    for (const reason of documented)
      assert.ok(
        all.some(({ notice }) => notice === reason),
        reason,
      )
  })

  it('stand for each refusal with a close code and what its client does', () => {
    const expected: Record<string, [number, string]> = {
      401: [4401, 'new-token'],
      403: [4403, 'final'],
      404: [4404, 'final'],
      429: [4429, 'wait'],
      500: [1011, 'wait'],
      503: [4503, 'wait'],
      504: [4503, 'wait'],
    }
    for (const refusal of Object.values(refusals)) {
      const { code, status, close, client } = refusal
      const rule = code === 'token-rejected' ? [4401, 'new-token'] : (expected[status.slice(0, 3)] ?? [4400, 'final'])
      assert.deepEqual([close, client], rule, code)
      const made = closeFor(refusal)
      if (made === undefined) continue
      assert.match(made.reason, new RegExp(client === 'wait' ? `^${code} retry=[1-4]\\d{3}$` : `^${code}$`))
      assert.deepEqual([made.code, made.reconnect], [close, client === 'wait'])
    }
    const http = Object.values(refusals).filter((each) => closeFor(each) === undefined)
    assert.deepEqual(http.map(({ code }) => code).sort(), [
      'at-capacity',
      'connect-rate',
      'draining',
      'malformed-request',
      'method-not-allowed',
      'unsupported-version',
      'upgrade-required',
    ])
  })

  it('are frozen', () => {
    assert.throws(() => {
      ;(refusals as Record<string, unknown>)['not-found'] = undefined
    }, TypeError)
    assert.throws(() => {
      ;(refusals['not-found'] as { status: string }).status = '200 OK'
    }, TypeError)
  })

  it('keep the cause of a RedisUnavailable error', () => {
    const cause = new Error('socket closed')
    const error = new RedisUnavailable('lost', { cause })
    assert.equal(error.name, 'RedisUnavailable')
    assert.equal(error.cause, cause)
  })
})
