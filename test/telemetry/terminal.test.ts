import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger } from '../../src/telemetry/log.ts'
import { TerminalLog } from '../../src/telemetry/terminal.ts'

const TIME = String.raw`\d\d:\d\d:\d\d\.\d{3}`

function logTo(options: { everything?: boolean; colours?: boolean } = {}) {
  const lines: string[] = []
  const { everything = false, colours = false } = options
  const to = new TerminalLog({ everything, colours, write: (text) => lines.push(...text.trimEnd().split('\n')) })
  return { log: createLogger('trace', to), lines }
}

describe('the log on a terminal', () => {
  it('has time, level, message and fields, those of a socket as well', () => {
    const { log, lines } = logTo()
    const connection = {
      serial: 1,
      subject: 's1',
      address: '10.0.0.1',
      door: { name: 'session', subjectName: 'session' },
    }
    log.connection(connection).warn({ event: 'slow', bytes: 5, why: 'a b' }, 'a client is slow')
    assert.match(
      lines[0]!,
      new RegExp(
        `^${TIME} warn  a client is slow  door=session  id=\\S+  session=s1  remote=10.0.0.1  bytes=5  why="a b"$`,
      ),
    )
  })

  it('colours the level only, and only where colours are wanted', () => {
    const { log, lines } = logTo({ colours: true })
    log.error('broken')
    assert.match(lines[0]!, new RegExp(`^${TIME} \u001b\\[31merror\u001b\\[0m broken$`))
  })

  it('lets no value steer the terminal', () => {
    const { log, lines } = logTo()
    log.info(
      { reason: '\u001b[2J\u009b31m\nnew line', value: { deep: '\u009d0;title\u0007' } },
      'hostile \u001b]0;x\u0007',
    )
    assert.equal(lines.length, 1)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that must not come.
    assert.doesNotMatch(lines[0]!, /[\u0000-\u001f\u007f-\u009f]/)
  })

  it('prints the stack of an error below its line', () => {
    const { log, lines } = logTo()
    log.error({ err: new Error('boom') }, 'unexpected')
    assert.match(lines[0]!, /unexpected$/)
    assert.match(lines[1]!, /^ {2}Error: boom$/)
    assert.match(lines[2]!, /^ {6}at /)
  })

  it('shows an outage of two links as one line, and its end as another', () => {
    const { log, lines } = logTo()
    const lose = (link: string, failures: number) =>
      log.warn({ event: 'redis-lost', link, reason: 'ECONNREFUSED', failures, pauseMs: 5 }, 'no connection to Redis')
    const back = (link: string) => log.info({ event: 'redis-ready', link }, 'connected to Redis')
    back('commands')
    back('subscriber')
    assert.equal(lines.length, 0, 'the first connection is no news')
    for (let failures = 1; failures < 5; failures++) for (const link of ['commands', 'subscriber']) lose(link, failures)
    back('subscriber')
    log.info({ event: 'redis-subscribed', channels: 1 }, 'subscribed')
    back('commands')
    lose('commands', 1)
    back('commands')
    const away = 'warn  Redis is away: trying again until it is back  reason=ECONNREFUSED'
    const over = 'info  Redis is back after N s'
    assert.deepEqual(
      lines.map((line) => line.replace(new RegExp(`^${TIME} `), '').replace(/[\d.]+ s$/, 'N s')),
      [away, over, away, over],
    )
  })

  it('shows every attempt to reconnect when everything is wanted', () => {
    const { log, lines } = logTo({ everything: true })
    for (let i = 0; i < 3; i++) log.warn({ event: 'redis-lost', link: 'commands', failures: i }, 'no connection')
    assert.equal(lines.length, 3)
  })
})
