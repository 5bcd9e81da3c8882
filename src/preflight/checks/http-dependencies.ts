import { reasonOf } from '../../platform/reason.ts'
import type { Check } from '../check.ts'

/** Statuses from this one on count as failures. */
const BAD_STATUS = 400

const check: Check = {
  name: 'http-dependencies',
  priority: 5,
  appliesTo: 'all',
  async execute(_, signal, { gateway: { httpDependencies } }) {
    if (httpDependencies.length === 0) return { status: 'skipped', message: 'PREFLIGHT_HTTP_DEPENDENCIES is empty' }
    const problems = (await Promise.all(httpDependencies.map((url) => problemOf(url, signal)))).filter(
      (each) => each !== undefined,
    )
    const count = httpDependencies.length
    if (problems.length === 0) return { status: 'pass', message: `${count} of ${count} answer` }
    return {
      status: 'fail',
      message: problems.join('; '),
      details: { failing: problems.length, of: count },
      remediation: 'Request these addresses from this machine (curl -v). PREFLIGHT_HTTP_DEPENDENCIES lists them.',
    }
  },
}
export default check

/** The query of an address may contain a secret. */
const shown = (url: string): string => url.replace(/[?#].*/, '')

async function problemOf(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal, redirect: 'manual' })
    // An unread body would keep the connection open.
    await response.body?.cancel()
    return response.status < BAD_STATUS ? undefined : `${shown(url)} answers ${response.status}`
  } catch (error) {
    const reason = signal.aborted ? 'no answer in time' : reasonOf((error as Error).cause ?? error)
    return `${shown(url)}: ${reason}`
  }
}
