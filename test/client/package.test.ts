import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { page } from '../support/pages.ts'
import { killAtExit } from '../support/processes.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

describe('the package of the client', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    const { status, stderr } = spawnSync(process.execPath, [`${ROOT}client/build.mjs`], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    gateway = await gatewayFor(suite)
  })

  it('has every file that its exports name', async () => {
    const { exports } = JSON.parse(page('client/package.json')) as { exports: Record<string, string | object> }
    const files = Object.values(exports).flatMap((each) => (typeof each === 'string' ? [each] : Object.values(each)))
    for (const file of files) assert.ok((await readFile(join(ROOT, 'client', file))).length > 0, file)
  })

  it('runs the lines of its README in Node', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wsproxy-package-'))
    atEnd(suite, () => rm(folder, { recursive: true }))
    await mkdir(join(folder, 'node_modules'))
    await symlink(`${ROOT}client`, join(folder, 'node_modules/wsproxy-client'))
    await symlink(`${ROOT}node_modules/ws`, join(folder, 'node_modules/ws'))
    const [, lines] = /```js\n([\s\S]*?)```/.exec(page('client/README.md'))!
    const token = await gateway.token('s1')
    // Node has a WebSocket of its own from 22 on.
    const first = `import { WebSocket } from 'ws'\nglobalThis.WebSocket ??= WebSocket\nglobalThis.getToken = () => '${token}'\n`
    await writeFile(join(folder, 'first.mjs'), first)
    await writeFile(join(folder, 'lines.mjs'), lines!.replace('wss://gw.example.org', gateway.url))
    const args = ['--import', './first.mjs', 'lines.mjs']
    const child = killAtExit(spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] }))
    atEnd(suite, () => child.kill())
    let text = ''
    child.stdout!.on('data', (chunk) => {
      text += chunk
    })
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 1,
      'the client',
    )
    await say(gateway.agent, 's1', '"hello"')
    await eventually(() => text === 'hello\n', 'the message')
    child.kill()
  })

  it('runs the page of the guide in Chromium, with its one file', { skip: withoutBrowser }, async () => {
    const [, html] = /```html\n([\s\S]*?)```/.exec(page('docs/guide/client.md'))!
    const script = await readFile(`${ROOT}client/dist/wsproxy-client.min.js`)
    const server = createServer(async ({ url }, response) => {
      if (url === '/token/s1') return void response.end(await gateway.token('s1'))
      response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript')
      response.end(url === '/' ? html!.replace('ws://127.0.0.1:8080', gateway.url) : script)
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => server.close())
    await once(server, 'listening')
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe('session:s1:up', (frame) => heard.push(frame))
    const browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
    const tab = await browser.newPage()
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await eventually(() => heard.includes('{"type":"ask","text":"hello"}'), 'the question')
    await say(gateway.agent, 's1', '{"type":"token","text":"Hello"}')
    await eventually(async () => (await tab.textContent('#words')) === 'Hello ', 'the words')
  })
})
