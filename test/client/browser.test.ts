import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

/** The budget of a page that uses all of the client. */
const MAX_GZIPPED_BYTES = 5 * 1024

/** The client as one minified file, as the package has it. */
async function minified(): Promise<string> {
  const entry = fileURLToPath(new URL('../../../client/src/index.ts', import.meta.url))
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    // Loaded only where no WebSocket opens.
    external: ['./sse.ts'],
    write: false,
  })
  return outputFiles[0]!.text
}

const page = (gateway: string) => `<!doctype html><meta charset="utf-8"><p></p><script type="module">
  import { session } from '/client.js'
  const chat = session('${gateway}', { agent: 'agent-1', id: 'page', token: () => fetch('/token').then((r) => r.text()) })
  window.got = []
  chat.on('state', ({ name }) => { document.title = name })
  for await (const { data } of chat) { window.got.push(data.n); document.querySelector('p').append(data.n + ' ') }
</script>`

describe('the client in a page', () => {
  it('has at most 5 KB, minified and gzipped', async () => {
    const bytes = gzipSync(await minified(), { level: 9 }).length
    assert.ok(bytes <= MAX_GZIPPED_BYTES, `${bytes} bytes`)
  })

  for (const page of ['client/README.md', 'docs/guide/client.md']) {
    it(`has the size that ${page} promises`, async () => {
      const text = await readFile(new URL(`../../../${page}`, import.meta.url), 'utf8')
      const [, promised] = /at most (\d+) KB\s+minified\s+and\s+gzipped/.exec(text) ?? []
      assert.equal(Number(promised) * 1024, MAX_GZIPPED_BYTES)
    })
  }

  describe('of Chromium', { skip: withoutBrowser }, () => {
    const suite = scopeOf(after)
    let gateway: TestGateway
    let address = ''
    before(async () => {
      gateway = await gatewayFor(suite)
      const client = await minified()
      const server = createServer(async ({ url }, response) => {
        if (url === '/token') return void response.end(await gateway.token('page'))
        response.setHeader('Content-Type', url === '/client.js' ? 'text/javascript' : 'text/html')
        response.end(url === '/client.js' ? client : page(gateway.url))
      }).listen(0, '127.0.0.1')
      atEnd(suite, () => server.close())
      await once(server, 'listening')
      address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    })

    it('goes on after a reload behind the last message that the page has dealt with', async () => {
      const browser = await startBrowser()
      await stopAtEnd(suite, { stop: () => browser.close() })
      const tab = await browser.newPage()
      const got = () => tab.evaluate(() => (globalThis as unknown as { got: number[] }).got)
      const write = async (from: number, to: number) => {
        for (let n = from; n <= to; n++) await say(gateway.agent, 'page', JSON.stringify({ n }))
      }
      await tab.goto(address)
      await eventually(async () => (await tab.title()) === 'open', 'the session')
      await write(1, 5)
      await eventually(async () => (await got()).length === 5, 'the first words')
      await eventually(
        () =>
          tab.evaluate(() =>
            JSON.stringify((globalThis as unknown as { sessionStorage: object }).sessionStorage).includes('.5'),
          ),
        'the kept cursor',
      )
      await tab.goto('about:blank')
      await write(6, 9)
      await tab.goto(address)
      await eventually(async () => (await got())?.length === 4, 'the words that were missed')
      assert.deepEqual(await got(), [6, 7, 8, 9])
    })

    it('gets nothing twice after a reload that comes before the regular save', async () => {
      const browser = await startBrowser()
      await stopAtEnd(suite, { stop: () => browser.close() })
      const tab = await browser.newPage()
      const got = () => tab.evaluate(() => (globalThis as unknown as { got: number[] }).got)
      const hear = async (n: number) => {
        await say(gateway.agent, 'page', JSON.stringify({ n }))
        await eventually(async () => (await got()).includes(n), `word ${n}`)
      }
      await tab.goto(address)
      await eventually(async () => (await tab.title()) === 'open', 'the session')
      await hear(101)
      await eventually(() => tab.evaluate('sessionStorage.length > 0'), 'the first save')
      // From here on only the save at the end of the page is left.
      await tab.evaluate('globalThis.setTimeout = () => 0')
      await hear(102)
      await tab.reload()
      await eventually(async () => (await tab.title()) === 'open', 'the session')
      await hear(103)
      assert.deepEqual(await got(), [103])
    })
  })
})
