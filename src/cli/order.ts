import { loadConfig } from '../config/load.ts'
import { askOwn } from '../platform/own.ts'
import { reasonOf } from '../platform/reason.ts'
import { CommandFailed, Misused } from './failure.ts'
import { operatorAddress } from './running.ts'

interface Answer {
  readonly closed: number
  readonly instances: number
  readonly expected?: number
  readonly complete?: boolean
  readonly local_only: boolean
}

const PATIENCE_MS = 10_000

/**
 * Sends an order that closes sockets to a gateway, and prints how many were closed.
 * @param gateway its admin address. Default: the gateway of this machine.
 * @throws Misused without ADMIN_TOKEN. @throws CommandFailed when the gateway refuses, or when an
 * instance has not answered.
 */
export async function order(path: string, content: object, gateway: string | undefined): Promise<void> {
  const { config } = loadConfig()
  const { adminToken } = config
  if (adminToken === undefined)
    throw new Misused('ADMIN_TOKEN is not set: gateways take orders only with it. Set it to the value of the gateways')
  const url = `${(gateway ?? operatorAddress(config)).replace(/\/+$/, '')}${path}`
  const { status, text } = await send(url, adminToken, content, gateway === undefined)
  if (status !== 200) throw new CommandFailed(`the gateway refused: ${status} ${text}`)
  report(JSON.parse(text) as Answer)
}

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
