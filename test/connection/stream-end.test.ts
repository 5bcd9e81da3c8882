import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { gatewayFor } from '../support/gateway.ts'
import { within } from '../support/wait.ts'

describe('an answer with events', () => {
  for (const [door, path] of [
    ['session', '/agent-1/sse/ends'],
    ['live', '/live/sse'],
  ] as const) {
    it(`of the ${door} door ends as HTTP has it, behind its goodbye`, async (t) => {
      const gateway = await gatewayFor(t, { env: { AUTH_TOKEN_MODE: 'reusable' } })
      const headers = door === 'session' ? { Authorization: `Bearer ${await gateway.token('ends')}` } : {}
      const [response] = (await once(get(`${gateway.http}${path}`, { headers }), 'response')) as [IncomingMessage]
      assert.deepEqual([response.statusCode, response.headers.connection], [200, 'close'])
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => (text += piece))
      // The parser of Node emits an error for a chunk that is malformed.
      const ended = once(response, 'end')
      await gateway.gateway.stop()
      await within(ended, 'the end of the answer')
      assert.ok(response.complete)
      assert.match(text, /"reason":"draining".*\n\n$/)
    })
  }
})
