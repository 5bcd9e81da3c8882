import { isId, isRunId } from '../contract/names.ts'
import { DISCONNECT_KINDS, type DisconnectKind } from '../contract/reasons.ts'
import { networks, parseIp } from './address.ts'

/** The clients that an operator disconnects: of a session, a run, a JWT subject, or an address. */
export interface Selection {
  readonly by: DisconnectKind
  /** A session id, a run id, a `sub`, or an IP address or network in its canonical spelling. */
  readonly value: string
}

/** What a selection is compared with: a socket, or an upgrade that is under way. */
export interface Selectable {
  readonly door: { readonly subjectName: string }
  readonly subject: string
  readonly address: string
  /** Of the JWT that it goes back to, directly or by a ticket. */
  readonly rights?: { readonly subject: string | undefined } | undefined
}

/** As long as a JWT can hold it. */
const MAX_SUBJECT = 2048

/** Returns the selection, or undefined when no client can be meant by these two. */
export function selectionIn(by: unknown, value: unknown): Selection | undefined {
  const kind = DISCONNECT_KINDS.find((each) => each === by)
  if (kind === undefined || typeof value !== 'string') return undefined
  if (kind === 'session') return isId(value) ? { by: kind, value } : undefined
  if (kind === 'run') return isRunId(value) ? { by: kind, value } : undefined
  if (kind === 'subject') return value !== '' && value.length <= MAX_SUBJECT ? { by: kind, value } : undefined
  const network = networkIn(value)
  return network === undefined ? undefined : { by: kind, value: network }
}

/**
 * Returns whether a client is one of the selection. Doors call their subjects as the kinds of ids
 * are called: a session has sockets and streams.
 */
export function selects({ by, value }: Selection): (client: Selectable) => boolean {
  if (by === 'subject') return ({ rights }) => rights?.subject === value
  if (by !== 'address') return ({ door, subject }) => door.subjectName === by && subject === value
  const contains = networks([value])
  return ({ address }) => contains(address)
}

function networkIn(text: string): string | undefined {
  const [ip = '', bits, ...rest] = text.split('/')
  const canonical = parseIp(ip)
  if (canonical === undefined || rest.length > 0) return undefined
  if (bits === undefined) return canonical
  // An IPv4 address inside IPv6 has become IPv4, and its bits would mean another network.
  if (canonical.includes(':') !== ip.includes(':')) return undefined
  const isSound = /^\d{1,3}$/.test(bits) && Number(bits) <= (canonical.includes(':') ? 128 : 32)
  return isSound ? `${canonical}/${bits}` : undefined
}
