import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { userByEmail, userIndex, userKey } from '../../src/contract/user-names.ts'
import { Command, killCommands, run, withoutTerminal } from '../support/cli.ts'
import { clusterFor } from '../support/cluster.ts'
import { type Client, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'

const PASSWORD = 'a fine pass word'

describe('wsproxy user', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let client: Client
  before(async () => {
    redis = await redisFor(suite)
    client = await redis.client()
    atEnd(suite, killCommands)
  })
  const user = (args: readonly string[], input = '') => run(['user', ...args], { env: { REDIS_URL: redis.url }, input })
  const listed = async () => (await user(['list'])).stdout.split('\n').filter(Boolean)

  it('add stores a user with a hash of its password, and prints its id', async () => {
    const added = await user(['add', 'Ada@Example.org', '--role', 'super_admin', '--name', 'Ada L.'], `${PASSWORD}\n`)
    assert.deepEqual([added.status, added.stderr], [0, ''])
    const id = added.stdout.trim()
    assert.match(id, /^[0-9a-f]{24}$/)
    assert.equal(await client.get(userByEmail('ada@example.org')), id)
    const { password, ...rest } = await client.hGetAll(userKey(id))
    assert.deepEqual({ ...rest }, { email: 'ada@example.org', full_name: 'Ada L.', role: 'admin', active: '1' })
    assert.match(password!, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    assert.deepEqual(await listed(), ['ada@example.org  admin  active  never  Ada L.'])
  })

  it('add refuses a second user of an address, and leaves nothing of it', async () => {
    await user(['add', 'twice@example.org'], PASSWORD)
    const keys = (await client.keys('wsproxy:user*')).length
    const { status, complaints } = await user(['add', 'TWICE@example.org'], PASSWORD)
    assert.deepEqual([status, complaints], [1, ['a user has the address twice@example.org already']])
    assert.equal((await client.keys('wsproxy:user*')).length, keys)
    assert.equal(await client.zCard(userIndex()), (await listed()).length)
  })

  it('passwd, role, disable, enable and delete change one user', async () => {
    await user(['add', 'bob@example.org'], PASSWORD)
    const id = (await client.get(userByEmail('bob@example.org')))!
    const before = await client.hGet(userKey(id), 'password')
    for (const [args, input] of [
      [['passwd', 'bob@example.org'], 'another fine one'],
      [['role', 'bob@example.org', 'developer'], ''],
      [['disable', 'bob@example.org'], ''],
    ] as const)
      assert.equal((await user(args, input)).status, 0, args.join(' '))
    assert.notEqual(await client.hGet(userKey(id), 'password'), before)
    assert.ok((await listed()).includes('bob@example.org  operator  disabled  never'))
    await user(['enable', 'bob@example.org'])
    assert.ok((await listed()).includes('bob@example.org  operator  active  never'))
    assert.equal((await user(['delete', 'bob@example.org'])).status, 0)
    assert.ok(!(await listed()).some((line) => line.startsWith('bob')))
    assert.equal(await client.exists([userKey(id), userByEmail('bob@example.org')]), 0)
    const { status, complaints } = await user(['role', 'bob@example.org', 'admin'])
    assert.equal(status, 1)
    assert.match(complaints[0]!, /^no user has the address bob@example\.org; "wsproxy user list"/)
  })

  it('refuses a password that is too short, too long or missing with 2', async () => {
    for (const input of ['1234567', 'é'.repeat(513), '', '\n'])
      assert.equal((await user(['add', 'short@example.org'], input)).status, 2, JSON.stringify(input.slice(0, 10)))
    assert.equal(await client.get(userByEmail('short@example.org')), null)
  })

  it('a list shows no control character of a name', async () => {
    await user(['add', 'evil@example.org', '--name', 'a\u001b[2Jb'], PASSWORD)
    assert.ok((await listed()).includes('evil@example.org  viewer  active  never  a[2Jb'))
  })

  it('asks twice at a terminal, and does not show what is typed', { skip: withoutTerminal }, async () => {
    const command = new Command(['user', 'add', 'tty@example.org'], { terminal: true, env: { REDIS_URL: redis.url } })
    await command.prints(/Password: /)
    command.child.stdin?.write(`${PASSWORD}\r`)
    await command.prints(/Again: /)
    command.child.stdin?.write(`${PASSWORD}\r`)
    assert.equal(await command.status(), 0)
    assert.ok(!command.stdout.includes(PASSWORD), command.stdout)
    assert.match((await client.get(userByEmail('tty@example.org'))) ?? '', /^[0-9a-f]{24}$/)
  })

  it('works in a cluster, where the keys of a user are on several servers', { skip: withoutRealRedis }, async (t) => {
    const env = { REDIS_CLUSTER_NODES: (await clusterFor(t)).addresses }
    for (const name of ['a', 'b', 'c'])
      assert.equal((await run(['user', 'add', `${name}@example.org`], { env, input: PASSWORD })).status, 0)
    await run(['user', 'disable', 'b@example.org'], { env })
    await run(['user', 'delete', 'c@example.org'], { env })
    const { stdout } = await run(['user', 'list', '--json'], { env })
    const lines = stdout.split('\n').filter(Boolean)
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)).map(({ email, is_active }) => [email, is_active]),
      [
        ['a@example.org', true],
        ['b@example.org', false],
      ],
    )
  })
})
