import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ConfigError } from '../../../src/config/load.ts'
import { loadChecklist } from '../../../src/doors/run/module.ts'
import { killCommands, run, serve } from '../../support/cli.ts'
import { connect } from '../../support/client.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const GOOD = `export default {
  second: (fields) => fields.get('timestamps:b') === '2',
  first: (fields) => fields.has('timestamps:a'),
}`

describe('RUN_CHECKLIST_MODULE', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-checklist-'))
  })
  after(async () => {
    await killCommands()
    rmSync(folder, { recursive: true, force: true })
  })

  let count = 0
  /** A module of its own for each test: Node loads each only once. */
  function write(text: string): string {
    const path = join(folder, `checklist-${++count}.mjs`)
    writeFileSync(path, text)
    return path
  }

  async function problemOf(path: string): Promise<string> {
    const error = await loadChecklist(path).then(
      () => assert.fail(`${path} was taken`),
      (reason) => reason,
    )
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.problems.length, 1)
    assert.ok(error.message.startsWith(`RUN_CHECKLIST_MODULE: ${path} `), error.message)
    return error.message
  }

  it('loads RUN_CHECKLIST_MODULE from an absolute path and from one relative to the working directory', async () => {
    const path = write(GOOD)
    for (const given of [path, relative(process.cwd(), path)]) {
      const { first, second } = await loadChecklist(given)
      assert.equal(first!(new Map([['timestamps:a', '']])), true)
      assert.equal(second!(new Map()), false)
    }
  })

  const broken: Record<string, [text: string, problem: RegExp]> = {
    'does not parse': ['export default {', /cannot be loaded: .*Unexpected/],
    'throws while it loads': ["throw new Error('no licence')", /cannot be loaded: no licence/],
    'has no default export': ['export const checklist = {}', /no default export/],
    'exports null': ['export default null', /no default export/],
    'exports a function': ['export default () => true', /no default export/],
    'has no key at all': ['export default {}', /no default export/],
    'has a key that is no rule': [
      'export default { fine: () => true, odd: true }',
      /broken at "odd": it is not a function/,
    ],
    'has a rule that throws': [
      "export default { fine: () => true, odd: (f) => f.get('x').length > 0 }",
      /broken at "odd": .*TypeError/,
    ],
    'has a rule without an answer': [
      'export default { fine: () => true, odd: () => {} }',
      /broken at "odd": .*undefined/,
    ],
    'has a rule that answers with text': ["export default { odd: () => 'true' }", /broken at "odd": .*true/],
    'has a rule that promises an answer': ['export default { odd: async () => true }', /broken at "odd": .*Promise/],
  }
  for (const [name, [text, problem]] of Object.entries(broken)) {
    it(`refuses RUN_CHECKLIST_MODULE in one line with the reason when it ${name}`, async () => {
      assert.match(await problemOf(write(text)), problem)
    })
  }

  it('refuses RUN_CHECKLIST_MODULE when the file does not exist', async () => {
    assert.match(await problemOf(join(folder, 'nowhere.mjs')), /cannot be loaded: .*nowhere/)
  })

  it('exits at the start with status 2 and the name of the broken key, and nothing else', async () => {
    const path = write('export default { odd: 7 }')
    const { status, complaints, stdout } = await run(['serve'], {
      env: { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: 'redis://127.0.0.1:1', RUN_CHECKLIST_MODULE: path },
    })
    assert.equal(status, 2)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /RUN_CHECKLIST_MODULE: .*"odd"/)
    assert.equal(stdout, '')
  })

  describe('in a running gateway', () => {
    const suite = scopeOf(after)
    let redis: TestRedis
    before(async () => {
      redis = await redisFor(suite)
    })

    async function open(text: string) {
      const { ws, http, command } = await serve({ REDIS_URL: redis.url, RUN_CHECKLIST_MODULE: write(text) })
      await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
      return { ws, command, agent: await redis.client() }
    }

    it('shows the custom checklist in place of the built-in one, keys sorted', async () => {
      const { ws, command, agent } = await open(GOOD)
      await agent.hSet('module', { 'timestamps:a': '1', 'locked:x': 'true' })
      const client = await connect(`${ws}/module`)
      await client.take(1)
      await agent.hSet('module', 'timestamps:b', '2')
      assert.deepEqual(await client.take(2), [
        '{"type":"preflight","checklist":{"first":true,"second":false},"lock_statuses":{"x":true},"last_modified":1}',
        '{"type":"preflight","checklist":{"first":true,"second":true},"lock_statuses":{"x":true},"last_modified":2}',
      ])
      command.signal('SIGTERM')
      assert.equal(await command.status(), 0)
    })

    it('shows only true and false, whatever a custom rule returns for real data', async () => {
      const { ws, command, agent } = await open("export default { odd: (f) => f.has('x') && f.get('x') }")
      const client = await connect(`${ws}/odd`)
      await client.take(1)
      await agent.hSet('odd', { x: '"injected"', last_modified: '1' })
      const [, second] = await client.take(2)
      assert.equal(second, '{"type":"preflight","checklist":{"odd":false},"lock_statuses":{},"last_modified":1}')
      command.signal('SIGTERM')
      assert.equal(await command.status(), 0)
    })
  })
})
