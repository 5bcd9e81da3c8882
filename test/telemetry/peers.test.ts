import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError } from '../../src/config/load.ts'
import { loadPeers } from '../../src/telemetry/peers.ts'

describe('an optional package', () => {
  it('that a setting needs and that is missing fails with the command that installs all it needs', async () => {
    const absent = '@opentelemetry/absent'
    await assert.rejects(
      loadPeers('OTEL_EXPORTER_OTLP_ENDPOINT', '@opentelemetry/', () => import(absent)),
      (error: Error) => {
        assert.ok(error instanceof ConfigError)
        assert.match(error.message, /^OTEL_EXPORTER_OTLP_ENDPOINT is set, but @opentelemetry\/absent is not installed/)
        assert.match(error.message, /npm install "@opentelemetry\/api@\S+" .*"@opentelemetry\/sdk-trace-base@\S+"$/)
        return true
      },
    )
  })

  it('that is there is returned, and any other error stays as it is', async () => {
    assert.equal(await loadPeers('SENTRY_DSN', '@sentry/', async () => 7), 7)
    const other = 'no-package-of-this-name'
    await assert.rejects(
      loadPeers('SENTRY_DSN', '@sentry/', () => import(other)),
      { code: 'ERR_MODULE_NOT_FOUND' },
    )
  })
})
