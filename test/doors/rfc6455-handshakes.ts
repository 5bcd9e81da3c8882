import { upgradeRequest } from '../support/raw.ts'

type Headers = Record<string, string | undefined>

export interface HandshakeCase {
  /** The request of a path, with the headers that the door needs. */
  readonly request: (path: string, credentials: Headers) => string
  readonly status: number
  /** Headers of the answer, by lower-case names; undefined: it must not be there. */
  readonly answer?: Headers
}

const headers = (extra: Headers, status: number, answer?: Headers): HandshakeCase => ({
  request: (path, credentials) => upgradeRequest(path, { ...credentials, ...extra }),
  status,
  ...(answer && { answer }),
})
const line = (make: (path: string) => string, status: number): HandshakeCase => ({
  request: (path, credentials) => upgradeRequest(path, credentials, make(path)),
  status,
})
const changed = (from: string | RegExp, to: string, status: number, answer?: Headers): HandshakeCase => ({
  request: (path, credentials) => upgradeRequest(path, credentials).replace(from, to),
  status,
  ...(answer && { answer }),
})

const lowerCase: HandshakeCase = {
  request: (path, credentials) =>
    upgradeRequest(
      path,
      Object.fromEntries(Object.entries(credentials).map(([name, value]) => [name.toLowerCase(), value])),
    ).replace(/^[A-Z][\w-]*:/gm, (name) => name.toLowerCase()),
  status: 101,
}

/** Of the key in `upgradeRequest`: the example of section 1.3. */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
const UPGRADED = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': ACCEPT }
const VERSIONS = { 'sec-websocket-version': '13' }

/** Sections 4.1 to 4.4. */
export const HANDSHAKE_CASES: Readonly<Record<string, HandshakeCase>> = {
  'the example of the RFC': headers({}, 101, {
    ...UPGRADED,
    'sec-websocket-extensions': undefined,
    'sec-websocket-protocol': undefined,
  }),
  'another key': headers({ 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 101, {
    'sec-websocket-accept': 'ICX+Yqv66kxgM0FcWaLWlFLwTAI=',
  }),
  'Upgrade in other case': headers({ Upgrade: 'WebSocket' }, 101, UPGRADED),
  'Connection in lower case': headers({ Connection: 'upgrade' }, 101, UPGRADED),
  'Connection as a list': headers({ Connection: 'keep-alive, Upgrade' }, 101, UPGRADED),
  'Upgrade as a list': headers({ Upgrade: 'h2c, websocket' }, 101, UPGRADED),
  'header names in lower case': lowerCase,
  'no space after the colons': changed(/: /g, ':', 101, UPGRADED),
  'spaces around a value': headers({ Upgrade: '   websocket  ' }, 101, UPGRADED),
  'unknown headers': headers({ 'X-Other': 'a, b; c="d"', 'Sec-WebSocket-Other': '1' }, 101, UPGRADED),
  'a cookie': headers({ Cookie: 'a=b; c=d' }, 101, UPGRADED),
  'an unknown extension': headers({ 'Sec-WebSocket-Extensions': 'x-unknown; a=1, other' }, 101, {
    'sec-websocket-extensions': undefined,
  }),
  'permessage-deflate while it is off': headers(
    { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    101,
    { 'sec-websocket-extensions': undefined },
  ),
  'an unknown subprotocol': headers({ 'Sec-WebSocket-Protocol': 'chat, superchat' }, 101, {
    'sec-websocket-protocol': undefined,
  }),
  'our subprotocol': headers({ 'Sec-WebSocket-Protocol': 'wsproxy.v1' }, 101, {
    'sec-websocket-protocol': 'wsproxy.v1',
  }),
  'an empty subprotocol': headers({ 'Sec-WebSocket-Protocol': '' }, 101, { 'sec-websocket-protocol': undefined }),
  'a query string': {
    request: (path, credentials) => upgradeRequest(`${path}${path.includes('?') ? '&' : '?'}a=b`, credentials),
    status: 101,
  },
  'no Upgrade': headers({ Upgrade: undefined }, 400),
  'an Upgrade to h2c': headers({ Upgrade: 'h2c' }, 400),
  'an empty Upgrade': headers({ Upgrade: '' }, 400),
  'an Upgrade that begins like ours': headers({ Upgrade: 'websocketx' }, 400),
  'no Connection': headers({ Connection: undefined }, 400),
  'Connection: close': headers({ Connection: 'close' }, 400),
  'Connection: keep-alive': headers({ Connection: 'keep-alive' }, 400),
  'a Connection that begins like ours': headers({ Connection: 'Upgraded' }, 400),
  'no key': headers({ 'Sec-WebSocket-Key': undefined }, 400),
  'an empty key': headers({ 'Sec-WebSocket-Key': '' }, 400),
  'a key of 15 bytes': headers({ 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAA' }, 400),
  'a key of 17 bytes': headers({ 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAAA=' }, 400),
  'a key that is not base64': headers({ 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }, 400),
  'a key without padding': headers({ 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA' }, 400),
  'a key in base64url': headers({ 'Sec-WebSocket-Key': '-_AAAAAAAAAAAAAAAAAAAA==' }, 400),
  ...Object.fromEntries(
    ['0', '7', '8', '12', '14', '25', '013', '13.0', '+13', '0x0d', 'abc', '13, 8', '1 3', '255', '13;'].map(
      (version) => [`the version ${version}`, headers({ 'Sec-WebSocket-Version': version }, 426, VERSIONS)],
    ),
  ),
  'no version': headers({ 'Sec-WebSocket-Version': undefined }, 426, VERSIONS),
  'an empty version': headers({ 'Sec-WebSocket-Version': '' }, 426, VERSIONS),
  ...Object.fromEntries(
    ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'].map((method) => [
      `the method ${method}`,
      line((path) => `${method} ${path} HTTP/1.1`, 405),
    ]),
  ),
  'HTTP/1.0': line((path) => `GET ${path} HTTP/1.0`, 505),
  'HTTP/2.0 in the request line': line((path) => `GET ${path} HTTP/2.0`, 505),
  'no version of HTTP': line((path) => `GET ${path}`, 505),
  'no Host': headers({ Host: undefined }, 400),
  'a header line without a colon': changed('Upgrade: websocket', 'Upgrade websocket', 400),
  'a space before a colon': changed('Upgrade: websocket', 'Upgrade : websocket', 400),
}
