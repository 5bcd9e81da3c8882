import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { exceeded, sharesOf } from '../../src/config/shares.ts'

describe('the parts of the limits of four workers', () => {
  const of = (env: Record<string, string>, workers = 4) => sharesOf(loadConfig(env).config, workers)

  it('are a quarter of what the instance may take, and at least 1', () => {
    const shares = of({ MAX_CONNECTIONS: '10000', MAX_BUFFERED_BYTES: '1MiB', UPSTREAM_BUFFER_MESSAGES: '3' })
    assert.equal(shares.maxConnections, 2500)
    assert.equal(shares.maxBufferedBytes, 256 * 1024)
    assert.equal(shares.upstreamBufferMessages, 1)
    assert.equal(shares.connectRate, 500)
    assert.equal(of({ MAX_CONNECTIONS: '10001' }).maxConnections, 2500)
  })

  it('leave out a limit that is not set, or off', () => {
    const shares = of({ CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', UPSTREAM_BUFFER_BYTES: '0' })
    for (const name of ['maxConnections', 'connectRate', 'connectRatePerIp', 'maxConnectionsPerIp'] as const)
      assert.equal(name in shares, false, name)
    assert.equal(shares.upstreamBufferBytes, undefined)
  })

  it('leave each worker a place for clients without a token, where the instance has one', () => {
    const reserved = (places: string, kept: string) =>
      of({ MAX_CONNECTIONS: places, RESERVED_CONNECTIONS: kept }).reservedConnections
    assert.equal(reserved('4', '1'), 0)
    assert.equal(reserved('8', '7'), 1)
    assert.equal(reserved('400', '100'), 25)
  })

  it('leave room for what the kernel spreads unevenly, where they are those of an address', () => {
    assert.equal(of({ MAX_CONNECTIONS_PER_IP: '100' }).maxConnectionsPerIp, 35)
    assert.equal(of({ MAX_CONNECTIONS_PER_IP: '4' }).maxConnectionsPerIp, 3)
    assert.equal(of({ MAX_CONNECTIONS_PER_IP: '1' }).maxConnectionsPerIp, 1)
    assert.equal(of({ MAX_CONNECTIONS_PER_IP: '100' }, 1).maxConnectionsPerIp, 100)
  })
  it('exceed together only a limit that is below the number of workers', () => {
    const names = (env: Record<string, string>) => exceeded(loadConfig(env).config, 4)
    assert.deepEqual(names({ MAX_CONNECTIONS: '3', UPSTREAM_BUFFER_MESSAGES: '1' }), [
      'maxConnections',
      'upstreamBufferMessages',
    ])
    assert.deepEqual(names({ MAX_CONNECTIONS: '7', RESERVED_CONNECTIONS: '1', CONNECT_RATE: '0' }), [])
    assert.deepEqual(names({}), [])
  })
})
