import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd, type Scope } from './scope.ts'
import type { Signer } from './tokens.ts'

/** A server of a JWKS, as an identity provider has one. */
export interface KeyServer {
  readonly url: string
  /** The number of requests so far. */
  readonly asked: () => number
  /** Answers from now on. */
  answer: (request: IncomingMessage, response: ServerResponse) => void
  /** Answers with the keys of these signers from now on. */
  publish(signers: readonly Signer[], headers?: Record<string, string>): void
}

/** The document of these keys. */
export const keySetText = (signers: readonly Signer[]): string =>
  `{"keys":[${signers.map(({ exposed }) => String(exposed[1])).join(',')}]}`

/** Starts a server that ends with the scope, and answers 503 until it has keys. */
export async function keyServerFor(scope: Scope): Promise<KeyServer> {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    keys.answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(scope, () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const keys: KeyServer = {
    url: `http://127.0.0.1:${port}/jwks.json`,
    asked: () => asked,
    answer: (_, response) => void response.writeHead(503).end(),
    publish(signers, headers = {}) {
      this.answer = (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(keySetText(signers))
    },
  }
  return keys
}
