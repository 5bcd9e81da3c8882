import { DISCONNECT_KINDS } from '../contract/reasons.ts'
import { selectionIn } from '../platform/selection.ts'
import { Misused } from './failure.ts'
import { order } from './order.ts'

export interface DisconnectOptions {
  readonly session?: string
  readonly run?: string
  readonly subject?: string
  readonly address?: string
  /** Leave the resume tickets of the session, or the JWTs of the subject, valid. */
  readonly reconnect?: boolean
  /** The admin address of a gateway. Default: the gateway of this machine. */
  readonly gateway?: string
}

/**
 * Has the gateways close the sockets of a session, a run, a JWT subject or an address, and prints
 * how many.
 * @throws Misused without exactly one of them, or without ADMIN_TOKEN. @throws CommandFailed when
 * the gateway refuses, or when an instance has not answered.
 */
export async function disconnect(options: DisconnectOptions): Promise<void> {
  const given = DISCONNECT_KINDS.filter((kind) => options[kind] !== undefined)
  const [kind] = given
  if (kind === undefined || given.length > 1)
    throw new Misused('give exactly one of --session, --run, --subject and --address')
  const selection = selectionIn(kind, options[kind])
  if (selection === undefined) throw new Misused(`--${kind} ${options[kind]} is not ${WHAT[kind]}`)
  const content = { [kind]: selection.value, ...(options.reconnect && { reconnect: true }) }
  await order('/api/admin/disconnect', content, options.gateway)
}

const WHAT = {
  session: 'a session id',
  run: 'a run id',
  subject: 'a subject of a JWT',
  address: 'an IP address or a network',
} as const
