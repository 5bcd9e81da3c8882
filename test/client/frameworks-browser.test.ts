import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { page as pageOf } from '../support/pages.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SOURCE = `${ROOT}client/src/`
const GUIDE_GATEWAY = 'wss://gw.example.org'

/** The code of the guides, with a page around it. */
const REACT = `
  import { StrictMode, useState as useOwn } from 'react'
  import { createRoot } from 'react-dom/client'
  import { offline } from 'wsproxy-client/offline'
  import { useOutbox } from 'wsproxy-client/react'
  const box = offline({ transport: { publish: () => Promise.reject(new Error('away')) } })
  function Waiting() {
    const { name, pending } = useOutbox(box)
    return <i id="outbox" onClick={() => box.put('tasks', 't1', 1)}>{name} {pending}</i>
  }
  function App() {
    const [id, setId] = useOwn('react-1')
    const [isShown, show] = useOwn(true)
    window.change = (next) => setId(next)
    window.hide = () => show(false)
    const token = () => fetch('/token/' + id).then((response) => response.text())
    return isShown && <div><Chat id={id} token={token} /><Build /><Ready id="run-1" /><Waiting /></div>
  }
  window.root = createRoot(document.body.appendChild(document.createElement('main')))
  root.render(<StrictMode><App /></StrictMode>)`

const VUE = `
  import { createApp, h } from 'vue'
  const token = () => fetch('/token/vue').then((response) => response.text())
  const app = createApp({ setup: () => { const chat = useChat('vue', token); return () => h('p', chat.state.value + ': ' + chat.text.value) } })
  app.mount(document.body.appendChild(document.createElement('main')))
  window.unmount = () => app.unmount()`

async function bundle(contents: string, gateway: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: contents.replaceAll(GUIDE_GATEWAY, gateway), loader: 'jsx', resolveDir: ROOT },
    alias: {
      'wsproxy-client/react': `${SOURCE}react.ts`,
      'wsproxy-client/offline': `${SOURCE}offline/index.ts`,
      'wsproxy-client': `${SOURCE}index.ts`,
      vue: '@vue/runtime-dom',
    },
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"', __VUE_OPTIONS_API__: 'true' },
    bundle: true,
    format: 'esm',
    write: false,
  })
  return outputFiles[0]!.text
}

describe('the code of the guides in Chromium', { skip: withoutBrowser }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let browser: Browser
  let address = ''
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_TOPICS: 'build.*' } })
    const [, jsx] = /```jsx\n([\s\S]*?)```/.exec(pageOf('docs/guide/client.md'))!
    const [, vue] = /```js\n\/\/ vue\n([\s\S]*?)```/.exec(pageOf('docs/guide/frameworks.md'))!
    const files = new Map([
      ['/react.js', await bundle(jsx! + REACT, gateway.url)],
      ['/vue.js', await bundle(vue! + VUE, gateway.url)],
    ])
    const server = createServer(async ({ url = '' }, response) => {
      const [, id] = /^\/token\/(.+)$/.exec(url) ?? []
      if (id) return void response.end(await gateway.token(id))
      const file = files.get(url)
      response.setHeader('Content-Type', file ? 'text/javascript' : 'text/html')
      response.end(file ?? `<!doctype html><meta charset="utf-8"><body><script type="module" src="${url}.js"></script>`)
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => server.close())
    await once(server, 'listening')
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
  })

  const sockets = () => gateway.metric('wsproxy_active_connections', { door: 'session' })
  const shows = (tab: Page, text: RegExp) =>
    eventually(async () => text.test((await tab.textContent('main')) ?? ''), `the text ${text}`)

  it('works with React, in StrictMode, over a change of the id and to the end of the component', async () => {
    const tab = await browser.newPage()
    const errors: string[] = []
    tab.on('pageerror', (error) => errors.push(String(error)))
    await tab.goto(`${address}/react`)
    await shows(tab, /open:/)
    await say(gateway.agent, 'react-1', '{"type":"token","text":"Hel"}')
    await say(gateway.agent, 'react-1', '{"type":"token","text":"lo"}')
    await gateway.agent.publish('live:build.7', '{"n":7}')
    await gateway.agent.hSet('run-1', 'timestamps:build_channels', '1')
    await shows(tab, /open: Hello/)
    await shows(tab, /\{"n":7\}/)
    await shows(tab, /true/)
    await eventually(async () => (await sockets()) === 1, 'one session, although effects run twice')
    await tab.click('#outbox')
    await shows(tab, /waiting 1/)
    await tab.evaluate("change('react-2')")
    await say(gateway.agent, 'react-2', '{"type":"token","text":"second"}')
    await shows(tab, /open: Hellosecond/)
    await eventually(async () => (await sockets()) === 1, 'the first session to close')
    await tab.evaluate('hide()')
    await eventually(async () => (await sockets()) === 0, 'the end of the session')
    assert.deepEqual(errors, [])
    await tab.close()
  })

  it('works with Vue, until the component is unmounted', async () => {
    const tab = await browser.newPage()
    await tab.goto(`${address}/vue`)
    await shows(tab, /^open:/)
    await say(gateway.agent, 'vue', '{"type":"token","text":"Hel"}')
    await say(gateway.agent, 'vue', '{"type":"token","text":"lo"}')
    await shows(tab, /^open: Hello$/)
    await tab.evaluate('unmount()')
    await eventually(async () => (await sockets()) === 0, 'the end of the session')
    await tab.close()
  })
})
