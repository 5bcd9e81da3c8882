import type { Connection } from '../../connection/connection.ts'
import { CONTRACT_VERSION } from '../../contract/live/schema.ts'
import type { ClientType } from '../../contract/live/types.gen.ts'
import { connectionId } from '../../telemetry/log.ts'
import { frameOf, now } from './frames.ts'

/** Characters of the name that a client gives its own socket. */
const MAX_LABEL = 128

/** The first frames of a socket, with the topics that it starts with. */
export function greetings(
  connection: Connection,
  view: ClientType,
  subscriptions: string[],
  query: URLSearchParams,
): Buffer[] {
  const ids = { connection_id: connectionId(connection.serial), server_time: now() }
  const version = { contract_version: CONTRACT_VERSION }
  const limits = { max_inbound_message_bytes: connection.door.maxMessageBytes }
  const established = frameOf({ type: 'connection_established', ...ids, subscriptions, ...version, ...limits })
  if (query.get('initialized') !== '1') return [established]
  const label = query.get('connection_id')
  const connection_info = { ...ids, client_type: view, ...(label !== null && { label: label.slice(0, MAX_LABEL) }) }
  return [established, frameOf({ type: 'dashboard_initialized', subscriptions, ...version, connection_info })]
}
