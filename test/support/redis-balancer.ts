import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { binaryOf } from './balancer.ts'
import { temporaryFolder } from './folder.ts'
import { freePort } from './ports.ts'
import { killAtExit } from './processes.ts'
import { atEnd, type Scope } from './scope.ts'

const HAPROXY = binaryOf('haproxy')

/** For `{ skip }`: false where HAProxy is installed. */
export const withoutHaproxy: string | false = HAPROXY === undefined && 'needs haproxy on the PATH or in /usr/sbin'

/**
 * Starts HAProxy in front of Redis servers, and returns its port: new connections lead to the
 * server that says `role:master`, and open ones stay where they are, as behind a managed endpoint.
 */
export async function redisBalancerFor(scope: Scope, ports: readonly number[]): Promise<number> {
  const port = await freePort()
  const lines = [
    'defaults',
    '  mode tcp',
    '  timeout connect 2s',
    '  timeout client 1h',
    '  timeout server 1h',
    'listen redis',
    `  bind 127.0.0.1:${port}`,
    '  option tcp-check',
    '  tcp-check send "INFO replication\\r\\n"',
    '  tcp-check expect string role:master',
    '  default-server inter 100ms fall 1 rise 1',
    ...ports.map((each, i) => `  server redis-${i} 127.0.0.1:${each} check`),
  ]
  const file = join(temporaryFolder(scope).TMPDIR, 'haproxy.cfg')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = killAtExit(spawn(HAPROXY!, ['-db', '-f', file], { stdio: 'ignore' }))
  atEnd(scope, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  return port
}
