import type { ApiRequest, Route } from './routes.ts'

/** The page at `/`: what runs here, with snippets that have this address in them. */

export interface LandingOptions {
  readonly encrypted: boolean
  /** The path before a run id; undefined when the run door is off. */
  readonly runPath: string | undefined
  readonly livePath: string
}

const STYLE =
  ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}' +
  'pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.75rem;border:1px solid #8886;border-radius:.4rem;font-size:14px}'
/** The page loads and runs nothing. A reader tries its snippet in its console, which this binds. */
const POLICY =
  "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** The route of the page. */
export const landing = (options: LandingOptions): Route => ({
  method: 'GET',
  path: '/',
  answer: (request) => ({
    status: '200 OK',
    type: 'text/html; charset=utf-8',
    body: pageFor(addressOf(request, options.encrypted), options),
    headers: { 'Content-Security-Policy': POLICY, 'X-Content-Type-Options': 'nosniff' },
  }),
})

/** The address that the browser has used, as far as it can stand in a page. */
function addressOf({ headers }: ApiRequest, encrypted: boolean): string {
  const [forwarded = ''] = headers['x-forwarded-proto'].split(',')
  const isSecure = encrypted || forwarded.trim().toLowerCase() === 'https'
  // The client writes this header: anything but a host could be markup.
  const host = /^[A-Za-z0-9.:[\]-]{1,255}$/.test(headers.host) ? headers.host : 'localhost:8080'
  return `${isSecure ? 'wss' : 'ws'}://${host}`
}

const pageFor = (address: string, { runPath, livePath }: LandingOptions): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>wsproxy</title>
<style>${STYLE}</style>
<h1>wsproxy</h1>
<p>A WebSocket gateway in front of Redis runs here. Agents publish to Redis, and clients hold a WebSocket.</p>
<h2>A session</h2>
<p>A client of session <code>demo</code>, in the console of a page. The token is the value of the Redis key
<code>session:demo:auth</code> (<code>wsproxy token create demo</code>).</p>
<pre>const token = btoa('TOKEN').replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=+$/, '')
const socket = new WebSocket('${address}/agent-1/ws/demo', ['wsproxy.v1', 'bearer.' + token])
socket.onmessage = ({ data }) =&gt; console.log(data)</pre>
<p>Its agent (<code>wsproxy redis-url</code> prints the address of Redis):</p>
<pre>redis-cli -u "$REDIS_URL" PUBLISH session:demo:down '{"hello":"client"}'
redis-cli -u "$REDIS_URL" SUBSCRIBE session:demo:up</pre>
${
  runPath === undefined
    ? ''
    : `<h2>A run</h2>
<p>The checklist of a Redis hash, sent again whenever the hash changes:</p>
<pre>wsproxy connect ${address}${runPath}run-1
redis-cli -u "$REDIS_URL" HSET run-1 timestamps:build_channels 1</pre>
`
}<h2>Live topics</h2>
<pre>wsproxy connect '${address}${livePath}?subscriptions=system'</pre>
<h2>Probes</h2>
<p><code>/livez</code> the process lives, <code>/readyz</code> it takes connections, <code>/health</code> Redis answers.</p>
</html>
`
