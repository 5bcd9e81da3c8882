import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import vm from 'node:vm'
import { WebSocket } from 'ws'
import { loadChecklist } from '../src/doors/run/module.ts'
import { loadChecks } from '../src/preflight/registry.ts'
import { startBrowser, withoutBrowser } from './support/browser.ts'
import { killCommands, serve } from './support/cli.ts'
import { connect } from './support/client.ts'
import { gatewayFor, type TestGateway } from './support/gateway.ts'
import { controls, epochOf, joinNumbered, takeMessages } from './support/numbered.ts'
import { page } from './support/pages.ts'
import { freePort } from './support/ports.ts'
import { killAtExit } from './support/processes.ts'
import { atEnd, scopeOf } from './support/scope.ts'
import { eventually, within } from './support/wait.ts'

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url))

/** Why a Python example cannot run here; false when it can. */
const withoutPython = (module: string): string | false =>
  spawnSync('python3', ['-c', `import ${module}`]).status === 0 ? false : `needs python3 with ${module}`

const withoutRedisCli = spawnSync('redis-cli', ['--version']).error ? 'needs redis-cli on the PATH' : false

/** The number of a message and its text. */
function textOf(message: string): string {
  const [, number, payload] = /^(\d+) (.*)$/.exec(message)!
  return `${number} ${JSON.parse(payload!).text}`
}

/** A program of examples that runs, and the lines that it has printed. */
class Example {
  readonly child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(file: string, args: readonly string[], redisUrl: string) {
    const program = { mjs: process.execPath, py: 'python3', sh: 'sh' }[file.split('.').at(-1)!]!
    const env = { ...process.env, REDIS_URL: redisUrl, LISTEN_ADDR: '127.0.0.1:0' }
    const child = spawn(program, [join(FOLDER, file), ...args], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child = killAtExit(child)
    child.stdout.on('data', (chunk) => {
      this.#stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      this.#stderr += chunk
    })
  }

  async stop(): Promise<void> {
    const { child } = this
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    // The whole group: a shell has started processes of its own.
    process.kill(-child.pid!, 'SIGKILL')
    await exited
  }

  /** @throws what the program has printed to stderr. */
  get lines(): string[] {
    if (this.#stderr !== '') throw new Error(this.#stderr)
    return this.#stdout.split('\n').slice(0, -1)
  }
}

describe('the examples', () => {
  const suite = scopeOf(after)
  const test = scopeOf(afterEach)
  let gateway: TestGateway

  before(async () => {
    gateway = await gatewayFor(suite)
  })

  const start = (file: string, ...args: string[]): Example => {
    const example = new Example(file, args, gateway.redis.url)
    atEnd(test, () => example.stop())
    return example
  }
  /** Starts an agent, and resolves with the token that it prints. */
  const startAgent = (file: string): Promise<string> => {
    const agent = start(file)
    return eventually(() => agent.lines[0], `the token of ${file}`)
  }
  const url = () => gateway.sessionUrl('s1')
  const hears = (client: Example) =>
    eventually(() => client.lines.join(' ').includes('You said: hello'), 'the answer of the agent')

  it('client.mjs prints what agent.mjs answers', async () => {
    const token = await startAgent('agent.mjs')
    await hears(start('client.mjs', token, url()))
  })

  it('client.py prints what agent.mjs answers', {
    skip: withoutPython('websockets.sync.client'),
  }, async () => {
    const token = await startAgent('agent.mjs')
    await hears(start('client.py', token, url()))
  })

  it('client.mjs prints what agent.py answers', { skip: withoutPython('redis') }, async () => {
    const token = await startAgent('agent.py')
    await hears(start('client.mjs', token, url()))
  })

  it('the examples in Python have no syntax error', { skip: withoutPython('ast') }, () => {
    for (const file of ['examples/agent.py', 'examples/log.py', 'examples/client.py', 'examples/stream.py']) {
      const parse = ['-c', 'import ast, sys; ast.parse(sys.stdin.read())']
      const { status, stderr } = spawnSync('python3', parse, { input: page(file), encoding: 'utf8' })
      assert.equal(status, 0, stderr)
    }
  })

  it('agent.sh sends a client its own frame', { skip: withoutRedisCli }, async () => {
    const token = await startAgent('agent.sh')
    const client = await connect(url(), { token })
    await eventually(async () => (await gateway.agent.pubSubNumSub('session:s1:up'))['session:s1:up'], 'the agent')
    client.send({ type: 'ask', text: 'hello' })
    const [frame] = await client.take(1)
    assert.deepEqual(JSON.parse(String(frame)), { type: 'echo', frame: { type: 'ask', text: 'hello' } })
    await client.close()
  })

  for (const [file, skip] of [
    ['log.mjs', false],
    ['log.py', withoutPython('redis')],
  ] as const) {
    it(`${file} loses no word for a client that comes back, nor a cancel`, { skip }, async () => {
      await gateway.agent.del(['{session:s1:down}:log', '{session:s1:down}:meta'])
      const token = await startAgent(file)
      const first = await connect(url(), { token, protocols: ['wsproxy.v2'] })
      await first.take(1)
      first.send({ type: 'ask', text: 'hello again' })
      const spoken = await takeMessages(first, 5)
      assert.deepEqual(spoken.map(textOf), ['1 You', '2 said:', '3 hello', '4 again', '5 undefined'])
      await first.close()
      await gateway.agent.publish('session:s1:up', '{"type":"ask","text":"client away"}')
      await eventually(async () => (await gateway.agent.xLen('{session:s1:down}:log')) === 10, 'the second answer')
      const epoch = await epochOf(gateway.agent, 's1')
      const second = await joinNumbered(gateway, 's1', `cursor=${epoch}.4`)
      const missed = await takeMessages(second, 6)
      assert.deepEqual(missed.map(textOf).slice(1), ['6 You', '7 said:', '8 client', '9 away', '10 undefined'])
      // The agent finds it as soon as it speaks again.
      second.send('7 {"type":"control","command":"cancel","run":"r7"}')
      await eventually(() => controls(second).some(({ command, n }) => command === 'ack' && n === 7), 'the ack')
      second.send({ type: 'ask', text: 'too late' })
      assert.deepEqual((await takeMessages(second, 7)).map(textOf).slice(6), ['11 undefined'])
      await second.close()
    })
  }

  it('log.sh gives a number to each frame that it sends back', { skip: withoutRedisCli }, async () => {
    await gateway.agent.del(['{session:s1:down}:log', '{session:s1:down}:meta'])
    const token = await startAgent('log.sh')
    const client = await connect(url(), { token, protocols: ['wsproxy.v2'] })
    await eventually(async () => (await gateway.agent.pubSubNumSub('session:s1:up'))['session:s1:up'], 'the agent')
    client.send({ type: 'ask', text: 'hello' })
    assert.deepEqual(await takeMessages(client, 1), ['1 {"type":"echo","frame":{"type":"ask","text":"hello"}}'])
    await client.close()
  })

  it('the script of browser.html shows what agent.mjs answers', async () => {
    const token = await startAgent('agent.mjs')
    const shown = runScript('browser.html', gateway.url)
    atEnd(test, shown.stop)
    shown.submit(token)
    await eventually(() => shown.text().includes('You said: hello'), 'the answer of the agent')
  })

  it('embed.mjs serves a door and a check of its own, and ends when it is stopped', async () => {
    const example = start('embed.mjs')
    const url = await eventually(() => example.lines.find((line) => line.startsWith('ws://')), 'its address')
    const http = url.replace(/^ws/, 'http').replace(/\/news.*/, '')
    await eventually(async () => (await fetch(`${http}/health`)).ok, 'its gateway to reach Redis')
    const client = await connect(url)
    await gateway.agent.publish('news:world', 'good news')
    assert.deepEqual(await client.take(1), ['good news'])
    const ended = once(example.child, 'exit')
    example.child.kill('SIGTERM')
    assert.equal((await client.closed).code, 1001)
    assert.deepEqual(await within(ended, 'its end'), [0, null])
  })

  it('browser.html in a browser shows what agent.mjs answers', { skip: withoutBrowser }, async () => {
    const token = await startAgent('agent.mjs')
    const browser = await startBrowser()
    try {
      const tab = await browser.newPage()
      await tab.goto(`${pathToFileURL(join(FOLDER, 'browser.html'))}?gateway=${gateway.url}`)
      await tab.fill('input', token)
      await tab.click('button')
      await tab.getByText('You said: hello').waitFor()
    } finally {
      await browser.close()
    }
  })

  it('the script of live.html shows the messages of its topics', async () => {
    const shown = runScript('live.html', gateway.url)
    atEnd(test, shown.stop)
    for (const topic of ['system', 'alerts']) {
      await eventually(async () => {
        await gateway.agent.publish(`live:${topic}`, '{"load":0.7}')
        return shown.text().includes(`${topic}: {"load":0.7}`)
      }, `the page to show ${topic}`)
    }
  })

  it('agent.mjs and agent.py have at most 12 lines', () => {
    for (const file of ['examples/agent.mjs', 'examples/agent.py']) {
      const lines = page(file)
        .split('\n')
        .filter((line) => line.trim() !== '')
      assert.ok(lines.length <= 12, `${file}: ${lines.length}`)
    }
  })

  it('preflight loads checks/billing.mjs, and the run door checklist.mjs', async () => {
    const [check] = await loadChecks([pathToFileURL(join(FOLDER, 'checks/'))])
    assert.equal(check?.name, 'billing')
    const checklist = await loadChecklist(join(FOLDER, 'checklist.mjs'))
    const stepsOf = (fields: Record<string, string>) =>
      Object.entries(checklist).flatMap(([key, rule]) => (rule(new Map(Object.entries(fields))) ? [key] : []))
    const done = { built_at: '1', tested_at: '2', approved: 'true', deployed_at: '3' }
    assert.deepEqual(stepsOf(done), ['built', 'tested', 'approved', 'deployed'])
    assert.deepEqual(stepsOf({ ...done, built_at: '9' }), ['built', 'approved', 'deployed'])
    assert.deepEqual(stepsOf({ ...done, approved: 'false' }), ['built', 'tested'])
    assert.deepEqual(stepsOf({}), [])
  })

  it('the guide of runs shows the frame that its commands bring', async (t) => {
    const guide = page('docs/guide/runs.md')
    const [, fields] = / HSET deploy-42 (.*)$/m.exec(guide)!
    const [, frame] = /^ {4}(\{"type":"preflight".*)$/m.exec(guide)!
    const { ws } = await serve({ REDIS_URL: gateway.redis.url, RUN_CHECKLIST_MODULE: 'examples/checklist.mjs' })
    atEnd(t, killCommands)
    const client = await eventually(() => connect(`${ws}/deploy-42`).catch(() => undefined), 'the gateway to be ready')
    await client.find({ type: 'preflight' })
    await gateway.agent.sendCommand(['HSET', 'deploy-42', ...fields!.split(' ')])
    await eventually(() => client.frames.includes(frame!), frame!)
    await client.close()
  })
})

describe('reconnect.mjs', () => {
  it('reconnect.mjs reconnects after a drain and after a crash, and ends at a final refusal', async (t) => {
    const { follow } = await import(pathToFileURL(join(FOLDER, 'reconnect.mjs')).href)
    const other = await gatewayFor(t)
    const env = { REDIS_URL: other.redis.url, DRAIN_WINDOW: '0', LISTEN_ADDR: `127.0.0.1:${await freePort()}` }
    const frames: { n?: number }[] = []
    const ends: number[] = []
    let token: string | undefined
    let gateway = await serve(env)
    atEnd(t, killCommands)
    follow(`${gateway.ws}/agent-1/ws/r1`, {
      getToken: () => token ?? other.token('r1'),
      onFrame: (frame: { n?: number }) => frames.push(frame),
      onEnd: (code: number) => ends.push(code),
    })
    const isHeard = async (n: number) => {
      await other.agent.publish('session:r1:down', JSON.stringify({ n }))
      return frames.some((frame) => frame.n === n)
    }
    await eventually(() => isHeard(1), 'the first frame')
    gateway.command.signal('SIGTERM')
    assert.equal(await gateway.command.status(), 0)
    gateway = await serve(env)
    await eventually(() => isHeard(2), 'a frame after the drain')
    gateway.command.signal('SIGKILL')
    await gateway.command.status()
    token = 'wrong'
    gateway = await serve(env)
    await eventually(() => ends.length > 0, 'the client to give up')
    assert.deepEqual(ends, [403])
  })
})

describe('demo.ts', () => {
  it('the demo ends with status 0 and prints no line of more than 80 columns', async () => {
    const child = killAtExit(spawn(process.execPath, [fileURLToPath(new URL('../examples/demo.js', import.meta.url))]))
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    const [status] = await once(child, 'close')
    assert.equal(status, 0, text)
    assert.match(text, /^gateway {2}drained$/m)
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line)
  })
})

/** A page of examples whose script runs without a browser. */
interface ScriptedPage {
  /** What the script has shown so far. */
  readonly text: () => string
  /** Submits the form of the page with this token. */
  readonly submit: (token: string) => void
  /** Closes the sockets of the script, and starts no timer of it any more. */
  readonly stop: () => void
}

/** Runs the script of a page with ws as its WebSocket and the few parts of a document it uses. */
function runScript(file: string, gateway: string): ScriptedPage {
  const [, script] = /<script type="module">([\s\S]*)<\/script>/.exec(page(`examples/${file}`)) ?? []
  assert.ok(script !== undefined, `${file} has a script`)
  let text = ''
  let listener = (_: object) => {}
  let stopped = false
  const sockets: WebSocket[] = []
  class PageSocket extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols ?? [])
      // A browser reports no error but the close.
      this.on('error', () => {})
      sockets.push(this)
    }
  }
  const element = {
    append: (more: string) => {
      text += more
    },
    addEventListener: (_: string, given: typeof listener) => {
      listener = given
    },
  }
  vm.runInNewContext(script, {
    WebSocket: PageSocket,
    URLSearchParams,
    document: { querySelector: () => element },
    location: { search: `?gateway=${gateway}` },
    btoa,
    setTimeout: (work: () => void, ms: number) => (stopped ? undefined : setTimeout(work, ms)),
  })
  return {
    text: () => text,
    submit: (value) => listener({ preventDefault() {}, target: { elements: { token: { value } } } }),
    stop: () => {
      stopped = true
      for (const socket of sockets) socket.terminate()
    },
  }
}
