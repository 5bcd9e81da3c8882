import { type ChildProcess, spawn } from 'node:child_process'
import { GATEWAY } from './cli.ts'
import { killAtExit } from './processes.ts'
import { atEnd, type Scope } from './scope.ts'
import { eventually } from './wait.ts'

/** Starts a gateway in a process of its own and waits until it is ready, for tests that kill it. */
export async function gatewayProcess(scope: Scope, port: number, env: Record<string, string>): Promise<ChildProcess> {
  const own = { ...process.env, LISTEN_ADDR: `127.0.0.1:${port}`, LOG_LEVEL: 'info', ...env }
  const child = killAtExit(
    spawn(process.execPath, [...GATEWAY, 'serve'], { env: own, stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  atEnd(scope, () => child.kill('SIGKILL'))
  let isListening = false
  child.stdout!.on('data', (lines) => {
    if (String(lines).includes('"listening"')) isListening = true
  })
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/ready`).then(
      ({ status }) => status === 200,
      () => false,
    )
  await eventually(async () => isListening && (await isReady()), 'the gateway')
  return child
}
