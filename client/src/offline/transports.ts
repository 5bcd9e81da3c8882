import type { Off } from '../events.ts'
import type { Token } from '../link-owner.ts'
import type { Envelope } from '../live.gen.ts'
import type { Live } from '../live.ts'
import type { Answer } from './store.ts'

/** How envelopes reach the gateway. */
export interface Transport {
  /** Resolves with one answer for each envelope, in order. Rejects when none of them was taken. */
  publish(list: readonly { readonly topic: string; readonly envelope: Envelope }[]): Promise<readonly Answer[]>
  /** Calls `retry` when the gateway can be reached again. */
  watch?(retry: () => void): Off
}

/** Below `LIVE_RATE` of the gateway (20 frames a second). */
const FRAME_MS = 60

/** Publishes over an open live connection, which may go to another origin. */
export const overLive = (hub: Live): Transport => ({
  publish: async (list) => {
    if (hub.state.name !== 'open') throw new Error('not connected')
    const pause = new Promise((resolve) => setTimeout(resolve, list.length * FRAME_MS))
    const one = ({ topic, envelope }: (typeof list)[number]): Promise<Answer> =>
      hub.publish(topic, envelope).catch(({ code = 'lost', at }) => ({ code, server_time: at }))
    const answers = await Promise.all(list.map(one))
    if (list.length > 1) await pause
    return answers
  },
  watch: (retry) => hub.on('state', ({ name }) => name === 'open' && retry()),
})

declare const fetch: (
  url: string,
  init: object,
) => Promise<{ readonly ok: boolean; readonly status: number; json(): Promise<unknown> }>

/**
 * Publishes by `POST /api/outbox` of the gateway at `base`, which must allow the page's origin.
 * Without a token the cookie of a login counts.
 */
export const overHttp = (base: string | URL, token?: Token): Transport => {
  const publish: Transport['publish'] = async (list) => {
    const response = await fetch(`${String(base).replace(/^ws/, 'http').replace(/\/$/, '')}/api/outbox`, {
      method: 'POST',
      credentials: token ? 'same-origin' : 'include',
      headers: {
        ...(token && { authorization: `Bearer ${typeof token === 'function' ? await token() : token}` }),
        'content-type': 'application/json',
      },
      body: JSON.stringify(list),
    })
    // The same list would be too large again, and all later changes would wait behind it.
    if (response.status === 413) {
      if (list.length === 1) return [{ code: 'message-too-large' }]
      const half = Math.ceil(list.length / 2)
      return [...(await publish(list.slice(0, half))), ...(await publish(list.slice(half)))]
    }
    if (!response.ok) throw new Error(`the gateway answered ${response.status}`)
    const { results, server_time } = (await response.json()) as { results: Answer[]; server_time: string }
    return results.map((each) => ({ server_time, ...each }))
  }
  return { publish }
}
