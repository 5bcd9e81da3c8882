import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command, killCommands } from './support/cli.ts'
import { gatewayFor, type TestGateway } from './support/gateway.ts'
import { atEnd, scopeOf } from './support/scope.ts'
import { eventually } from './support/wait.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'README.md'), 'utf8')
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

/** Why a Python snippet cannot run here; false when it can. */
const withoutPython = (module: string): string | false =>
  spawnSync('python3', ['-c', `import ${module}`]).status === 0 ? false : `needs python3 with ${module}`

/** A code block of the README by its language and its word behind it. */
function snippet(kind: string): string {
  const [, text] = new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(PAGE) ?? []
  assert.ok(text, `README.md has a block ${kind}`)
  return text
}

describe('the snippets of the README', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  /** Inside the project, so that packages are found from it. */
  let folder: string
  const children: ChildProcess[] = []

  before(async () => {
    gateway = await gatewayFor(suite)
    folder = mkdtempSync(join(ROOT, 'dist', 'readme-'))
    atEnd(suite, () => rmSync(folder, { recursive: true, force: true }))
    atEnd(suite, killCommands)
    atEnd(suite, () => {
      for (const child of children) child.kill('SIGKILL')
    })
  })

  const here = (text: string, token = ''): string =>
    text
      .replaceAll('ws://127.0.0.1:8080', gateway.url)
      .replaceAll('redis://127.0.0.1:16379', gateway.redis.url)
      .replaceAll('<token>', token)

  /** Runs a program and gives the lines that it has printed so far. */
  function start(program: string, file: string, text: string): () => string[] {
    writeFileSync(join(folder, file), text)
    const child = spawn(program, [join(folder, file)], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    children.push(child)
    let printed = ''
    let complaints = ''
    child.stdout.on('data', (chunk) => {
      printed += chunk
    })
    child.stderr.on('data', (chunk) => {
      complaints += chunk
    })
    return () => {
      if (complaints !== '') throw new Error(complaints)
      return printed.split('\n').slice(0, -1)
    }
  }
  /** Starts the agent of the README, the only one, and gives the token that it prints. */
  async function startAgent(language: 'js' | 'python' = 'js'): Promise<string> {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    }
    const text = here(snippet(`${language} agent`))
    const lines = language === 'js' ? start(process.execPath, 'agent.mjs', text) : start('python3', 'agent.py', text)
    return eventually(() => lines()[0], 'the token of the agent')
  }
  const heard = (lines: () => string[]) =>
    eventually(() => lines().join(' ').includes('You said: hello'), `the answer of the agent (${lines()})`)

  it('in Node: the client hears the agent', async () => {
    const token = await startAgent()
    await heard(start(process.execPath, 'client.mjs', here(snippet('js node'), token)))
  })

  it('in a browser: the client hears the agent', { skip: !CHROMIUM && 'needs chromium in /usr/bin' }, async () => {
    const { chromium } = await import('playwright-core')
    const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      const lines: string[] = []
      page.on('console', (message) => lines.push(message.text()))
      page.on('pageerror', (error) => lines.push(String(error)))
      await page.goto(`${gateway.http}/version`)
      const token = await startAgent()
      await page.addScriptTag({ content: here(snippet('js browser'), token) })
      await heard(() => lines)
    } finally {
      await browser.close()
    }
  })

  it('in Python: the client hears the agent', { skip: withoutPython('websockets.sync.client') }, async () => {
    const token = await startAgent()
    await heard(start('python3', 'client.py', here(snippet('python client'), token)))
  })

  it('in Python: the agent answers', { skip: withoutPython('redis') }, async () => {
    const token = await startAgent('python')
    await heard(start(process.execPath, 'client.mjs', here(snippet('js node'), token)))
  })

  it('in Python: are Python', { skip: withoutPython('ast') }, () => {
    for (const kind of ['python client', 'python agent']) {
      const { status, stderr } = spawnSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], {
        input: snippet(kind),
        encoding: 'utf8',
      })
      assert.equal(status, 0, stderr)
    }
  })

  it('on the command line: wsproxy connect hears the agent', async () => {
    const [create, connect] = snippet('sh connect').trim().split('\n')
    const env = { REDIS_URL: gateway.redis.url }
    const command = (line: string | undefined, token?: string) => {
      assert.match(line!, /^npx wsproxy /)
      return new Command(here(line!, token).split(' ').slice(2), { env })
    }
    await startAgent()
    // After the agent has made its own: the newest counts.
    const created = command(create)
    assert.equal(await created.status(), 0)
    const client = command(connect, created.stdout.trim())
    await client.says(/^connected to/m)
    client.write('{"type":"ask","text":"hello"}')
    await eventually(() => client.lines.some((line) => JSON.parse(line).text === 'hello'), 'the answer of the agent')
  })

  it('make an agent in about ten lines', () => {
    for (const kind of ['js agent', 'python agent']) {
      const lines = snippet(kind)
        .split('\n')
        .filter((line) => line.trim() !== '')
      assert.ok(lines.length <= 12, `${kind}: ${lines.length}`)
    }
  })
})
