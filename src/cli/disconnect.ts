import { loadConfig } from '../config/load.ts'
import { DISCONNECT_KINDS } from '../contract/reasons.ts'
import { askOwn } from '../platform/own.ts'
import { reasonOf } from '../platform/reason.ts'
import { selectionIn } from '../platform/selection.ts'
import { CommandFailed, Misused } from './failure.ts'
import { operatorAddress } from './running.ts'

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

interface Answer {
  readonly closed: number
  readonly instances: number
  readonly expected?: number
  readonly complete?: boolean
  readonly local_only: boolean
}

const PATIENCE_MS = 10_000

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
  const { config } = loadConfig()
  const { adminToken } = config
  if (adminToken === undefined)
    throw new Misused('ADMIN_TOKEN is not set: gateways take orders only with it. Set it to the value of the gateways')
  const url = `${(options.gateway ?? operatorAddress(config)).replace(/\/+$/, '')}/api/admin/disconnect`
  const { status, text } = await send(
    url,
    adminToken,
    { [kind]: selection.value, ...(options.reconnect && { reconnect: true }) },
    options.gateway === undefined,
  )
  if (status !== 200) throw new CommandFailed(`the gateway refused: ${status} ${text}`)
  report(JSON.parse(text) as Answer)
}

const WHAT = {
  session: 'a session id',
  run: 'a run id',
  subject: 'a subject of a JWT',
  address: 'an IP address or a network',
} as const

/** The certificate of another machine is verified, since the request holds the admin token. */
async function send(
  url: string,
  token: string,
  content: object,
  isOwn: boolean,
): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const post = { method: 'POST', headers, body: JSON.stringify(content) }
  const signal = AbortSignal.timeout(PATIENCE_MS)
  try {
    if (isOwn) {
      const { status, body } = await askOwn(url, signal, post)
      return { status, text: body }
    }
    const response = await fetch(url, { ...post, signal, redirect: 'error' })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    throw new CommandFailed(`no answer from ${url}: ${reasonOf(error)}`)
  }
}

/** @throws CommandFailed when not every instance has answered. */
function report({ closed, instances, expected, complete, local_only: localOnly }: Answer): void {
  const sockets = `closed ${counted(closed, 'socket')}`
  if (localOnly) {
    console.log(`${sockets} on this instance only`)
    throw new CommandFailed('orders between instances are off: set FLEET_SECRET or ADMIN_TOKEN on every instance')
  }
  console.log(
    `${sockets} on ${expected === undefined ? '' : `${instances} of `}${counted(expected ?? instances, 'instance')}`,
  )
  if (complete === false)
    throw new CommandFailed(
      'not every instance answered within a second: call again. If it stays so, compare FLEET_SECRET (else ADMIN_TOKEN)',
    )
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
