import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { closeCases } from '../../client/src/conformance/cases.gen.ts'
import { conform, type Target } from '../../client/src/conformance/conform.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { page } from '../support/pages.ts'
import { killAtExit } from '../support/processes.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const CLIENTS = fileURLToPath(new URL('runtime-clients.js', import.meta.url))
const START_MS = 20_000
/** Cases that one client process plays at a time. */
const AT_ONCE = 20

/** Programs that run JavaScript beside the Node of this process, which all other tests are for. */
const RUNTIMES: readonly { readonly name: string; readonly command: string; readonly words: readonly string[] }[] = [
  { name: 'Node 22', command: 'node22', words: [] },
  { name: 'Deno', command: 'deno', words: ['run', '--allow-all', '--node-modules-dir=manual'] },
  { name: 'Bun', command: 'bun', words: ['run'] },
]

const version = (command: string) => spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0]
const missing = RUNTIMES.filter(({ command }) => version(command) === undefined).map(({ command }) => command)
const skipWithout = (command: string) => missing.includes(command) && `needs ${command} on the PATH`
/** Without any of them there is nothing to build. */
const skip = missing.length === RUNTIMES.length && `needs ${missing.join(', ')} on the PATH`

// The conformance server plays silence for 35 s, to all of them at a time.
describe('the client in another runtime', { skip, concurrency: true }, () => {
  const suite = scopeOf(after)
  let folder: string
  let gateway: TestGateway
  before(async () => {
    const { status, stderr } = spawnSync(process.execPath, [`${ROOT}client/build.mjs`], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    folder = await mkdtemp(join(tmpdir(), 'wsproxy-runtime-'))
    atEnd(suite, () => rm(folder, { recursive: true }))
    await mkdir(join(folder, 'node_modules'))
    await symlink(`${ROOT}client`, join(folder, 'node_modules/wsproxy-client'))
    await writeFile(join(folder, 'package.json'), JSON.stringify({ dependencies: { 'wsproxy-client': '*' } }))
    gateway = await gatewayFor(suite)
  })

  for (const { name, command, words } of RUNTIMES) {
    it(`runs the lines of its README in ${name}`, { skip: skipWithout(command) }, async (t) => {
      t.diagnostic(String(version(command)))
      const id = `lines-of-${command}`
      const [, lines] = /```js\n([\s\S]*?)```/.exec(page('client/README.md'))!
      const first = `globalThis.getToken = () => '${await gateway.token(id)}'\nawait import('./${id}.mjs')`
      await writeFile(join(folder, `first-${id}.mjs`), first)
      const own = lines!.replace('wss://gw.example.org', gateway.url).replace("id: 's1'", `id: '${id}'`)
      await writeFile(join(folder, `${id}.mjs`), own)
      const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
      const child = killAtExit(spawn(command, [...words, `first-${id}.mjs`], { cwd: folder, stdio }))
      atEnd(suite, () => child.kill())
      let text = ''
      child.stdout!.on('data', (chunk) => (text += chunk))
      await eventually(
        async () => {
          await say(gateway.agent, id, '"hello"')
          return text.startsWith('hello\n')
        },
        'the message',
        START_MS,
      )
    })

    it(`does right after every close and hint in ${name}`, { skip: skipWithout(command) }, async () => {
      const clients = killAtExit(spawn(command, [...words, CLIENTS], { stdio: ['pipe', 'ignore', 'inherit'] }))
      atEnd(suite, () => clients.kill())
      let started = 0
      const start = ({ url, agent, id, tokenUrl }: Target) => {
        const number = ++started
        clients.stdin!.write(`open ${number} ${url} ${agent} ${id} ${tokenUrl}\n`)
        return () => void clients.stdin!.write(`close ${number}\n`)
      }
      const outcomes = await conform(start, AT_ONCE)
      const wrong = outcomes.filter(({ problem }) => problem !== undefined)
      assert.deepEqual(wrong, [])
      assert.ok(outcomes.length > closeCases.length)
    })
  }
})
