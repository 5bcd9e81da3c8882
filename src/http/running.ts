import { refusals } from '../contract/codes.ts'
import { isLoopbackHost } from '../platform/address.ts'
import { heapFolder } from '../telemetry/heap-snapshot.ts'
import type { AdminRequest } from './admin.ts'
import { refused } from './refuse.ts'
import { json } from './response.ts'
import type { Route } from './routes.ts'

export interface RunningParts {
  /** The settings in effect, with secrets masked. */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly source: string }[]
  /** The address of Redis without credentials. */
  readonly redis: string
  readonly version: Readonly<Record<string, string>>
  /** Whether details are for this caller. */
  readonly isOperator: (request: AdminRequest) => boolean
  /** Whether a caller needs a token for details. */
  readonly hasToken: boolean
}

/**
 * `GET /api/admin/config`: the settings that this process runs with. In development without a token
 * it answers to a loopback Host only: a page of another site may point its own name at loopback.
 */
export function running(parts: RunningParts): Route {
  return {
    method: 'GET',
    path: '/api/admin/config',
    answer: (request) => {
      const { settings, redis, version, isOperator, hasToken } = parts
      if (!isOperator(request) || (!hasToken && !isLoopbackHost(request.headers.host)))
        return refused(refusals['admin-required'])
      const heapSnapshots = heapFolder(settings.find(({ name }) => name === 'HEAP_SNAPSHOT_DIR')?.value)
      return json('200 OK', { ...version, pid: process.pid, redis, heapSnapshots, settings })
    },
  }
}
