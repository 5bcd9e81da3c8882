import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import fc from 'fast-check'
import {
  cooldown,
  eventsConfig,
  isId,
  isKeyPrefix,
  isOwnSegment,
  isRunId,
  isSessionChannel,
  keyEvents,
  liveAnswers,
  liveBus,
  liveChannels,
  liveKind,
  liveLast,
  preflightCounts,
  preflightPlaces,
  preflightReports,
  redisCanary,
  revokedSet,
  runAuth,
  runEvents,
  runKey,
  runOf,
  sessionAuth,
  sessionControl,
  sessionDown,
  sessionFlow,
  sessionUp,
  slotKey,
  ticketSecrets,
  topicOf,
  usedToken,
  useKeyPrefix,
} from '../../src/contract/names.ts'
import { userByEmail, userIndex, userKey } from '../../src/contract/user-names.ts'
import { assertProperty } from '../support/property.ts'

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~@=+-']
const FOREIGN = ['a*', 'a?', '[a]', '{a}', 'a b', 'a\n', '\na', 'a/b', 'a%3Ab', 'é', '🔑', 'a\0', 'a,b', 'a#b', '']

afterEach(() => useKeyPrefix(''))

for (const [what, isValid, own, foreign] of [
  ['an id', isId, ':', ';'],
  ['a run id', isRunId, ';', ':'],
] as const) {
  describe(what, () => {
    it(`consists of 1 to 200 of A-Z a-z 0-9 _ . ~ @ = + - and ${own}`, () => {
      const ids = fc.array(fc.constantFrom(...LETTERS, own), { minLength: 1, maxLength: 200 })
      assertProperty(fc.property(ids, (characters) => isValid(characters.join(''))))
      assert.ok(isValid('x'.repeat(200)))
      assert.ok(!isValid('x'.repeat(201)))
    })

    it('is invalid with any other character at any place', () => {
      const other = fc
        .string({ unit: 'binary', minLength: 1, maxLength: 2 })
        .filter((each) => !/^[\w.~@=+:;-]+$/.test(each))
      assertProperty(
        fc.property(fc.constantFrom('', 'a', 'ab'), other, fc.constantFrom('', 'z'), (before, wrong, after) => {
          assert.ok(!isValid(before + wrong + after))
        }),
      )
      for (const wrong of [...FOREIGN, `a${foreign}b`]) assert.ok(!isValid(wrong), JSON.stringify(wrong))
    })
  })
}

const SHA256 = 'ab'.repeat(32)

/** Every name that is made from an id, by its purpose. Keys and channels are separate in Redis. */
const KEYS = {
  sessionAuth,
  sessionFlow,
  usedSession: (id: string) => usedToken(sessionAuth(id), SHA256),
  cooldown: (id: string) => cooldown('mail', id),
}
const CHANNELS = { sessionDown, sessionUp, sessionControl }
const RUN_KEYS = { runKey, runAuth, usedRun: (id: string) => usedToken(runAuth(id), SHA256) }
const RUN_CHANNELS = { runEvents: (id: string) => runEvents(0, id) }

const fixedKeys = () => [
  eventsConfig(),
  preflightReports(),
  preflightCounts('hour', 1),
  preflightCounts('day', 1),
  preflightPlaces(1),
  ticketSecrets(),
  revokedSet(),
  userIndex(),
  userKey('0a1b'),
  userByEmail('ada@example.org'),
  liveLast('news'),
  liveLast('last'),
]
const fixedChannels = () => [liveBus(), liveAnswers('abc123'), redisCanary('0a1b')]

/** Ids that look like parts of names. */
const parts = ['a', 'down', 'up', 'auth', 'flow', 'ctl', 'session', 'run', 'live', 'wsproxy', 'system_events', '.', '-']
const joined = (separators: string[]) =>
  fc
    .array(fc.constantFrom(...parts, ...separators), { minLength: 1, maxLength: 6 })
    .map((each) => each.join(''))
    .filter((each) => each.length <= 200)
const anyId = joined([':', '@']).filter(isId)
const anyRun = joined([';', '@']).filter(isRunId)
const anyTopic = fc.constantFrom('a', 'down', 'auth', 'agents', 'system', 'project_index')
const anyPrefix = fc.constantFrom('', 'a:', 'prod:', 'staging:', 'session-1:')

describe('the names in Redis', () => {
  it('are the documented ones', () => {
    assert.equal(sessionDown('s1'), 'session:s1:down')
    assert.equal(sessionUp('s1'), 'session:s1:up')
    assert.equal(sessionAuth('s1'), 'session:s1:auth')
    assert.equal(runAuth('r1'), 'run:r1:auth')
    assert.equal(runEvents(3, 'r1'), '__keyspace@3__:r1')
    useKeyPrefix('staging:')
    assert.equal(sessionDown('s1'), 'staging:session:s1:down')
    assert.equal(runKey('r1'), 'staging:r1')
    assert.equal(runEvents(3, 'r1'), '__keyspace@3__:staging:r1')
    assert.equal(preflightCounts('hour', 1), '{staging:preflight:reports}:hour:1')
    assert.deepEqual(liveChannels('agents'), ['staging:live:agents', 'staging:agent_events:*'])
    assert.equal(liveLast('news'), 'staging:live:last:news')
    assert.deepEqual([liveBus(), liveAnswers('i')], ['staging:wsproxy:live', 'staging:wsproxy:live:i'])
  })

  it('differ for all pairs of ids, purposes and prefixes: no id makes one name another', () => {
    const made = (prefix: string, table: Record<string, (id: string) => string>, id: string) =>
      Object.entries(table).map(([purpose, name]): [string, string] => [name(id), `${prefix} ${purpose} ${id}`])
    const own = (prefix: string, names: string[]) => names.map((name): [string, string] => [name, `${prefix} ${name}`])
    const names = ([prefix, session, run, topic]: [string, string, string, string]) => {
      useKeyPrefix(prefix)
      const keys = [...made(prefix, KEYS, session), ...made(prefix, RUN_KEYS, run), ...own(prefix, fixedKeys())]
      const channels = [...made(prefix, CHANNELS, session), ...made(prefix, RUN_CHANNELS, run)]
      channels.push(...own(prefix, fixedChannels()), ...own(prefix, liveChannels(topic)))
      return { keys, channels }
    }
    const place = fc.tuple(anyPrefix, anyId, anyRun, anyTopic)
    assertProperty(
      fc.property(place, place, (one, other) => {
        const [left, right] = [names(one), names(other)]
        for (const space of ['keys', 'channels'] as const) {
          const purposes = new Map<string, string>()
          for (const [name, purpose] of [...left[space], ...right[space]]) {
            assert.equal(purposes.get(name) ?? purpose, purpose, name)
            purposes.set(name, purpose)
          }
        }
      }),
    )
  })

  it('are parsed back to what they were made from, with a prefix and without', () => {
    assertProperty(
      fc.property(anyPrefix, anyId, anyRun, (prefix, session, run) => {
        useKeyPrefix(prefix)
        assert.equal(runOf(runEvents(2, run)), run)
        assert.equal(slotKey(runEvents(2, run)), runKey(run))
        assert.equal(slotKey(keyEvents(0, sessionAuth(session))), sessionAuth(session))
        assert.ok(isSessionChannel(sessionDown(session)))
        for (const other of [runEvents(0, run), liveBus(), liveChannels('system')[1]!])
          assert.ok(!isSessionChannel(other))
        assert.equal(topicOf(liveChannels('news')[0]!), 'news')
        const kinds = ['news', 'system', 'agents', 'project_index'].map((topic) =>
          liveKind(liveChannels(topic).at(-1)!),
        )
        assert.deepEqual(kinds, ['topic', 'system', 'agent', 'project-index'])
      }),
    )
  })
})

describe('a key prefix', () => {
  it('is 1 to 32 of A-Z a-z 0-9 _ . - and a colon, and no first part of our own names', () => {
    for (const good of ['', 'a:', 'prod:', 'A_1.b-c:', `${'x'.repeat(32)}:`]) assert.ok(isKeyPrefix(good), good)
    const bad = ['a', ':', 'a:b:', 'a b:', '{a}:', 'a*:', `${'x'.repeat(33)}:`, 'session:', 'run:', 'live:', 'wsproxy:']
    for (const each of [...bad, 'cooldown:', 'agent_events:', 'preflight:', 'a:\n']) assert.ok(!isKeyPrefix(each), each)
  })
})

describe('the first segments of the paths of the gateway', () => {
  it('are no agent ids and no run ids', () => {
    const own = 'live api admin dashboard health ready livez readyz metrics version'.split(' ')
    assert.deepEqual(own.filter(isOwnSegment), own)
    for (const other of ['agent', 'Live', 'live1', 'apis', '']) assert.ok(!isOwnSegment(other), other)
  })
})
