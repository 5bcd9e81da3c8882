/** One client for ten seconds: does it work at all? */
import { check } from 'k6'
import { invite, losses, publish, stay } from './gateway.js'

export const options = {
  vus: 1,
  iterations: 1,
  thresholds: { checks: ['rate==1'], delivered: ['count>=9'], delivery: ['p(99)<100'] },
}

export const setup = () => ({ lostBefore: losses() })

export default async function () {
  const token = await invite('k6-smoke')
  const status = stay('k6-smoke', token, 10, 1000, () => publish('k6-smoke'))
  check(status, { 'the upgrade is accepted': (each) => each === 101 })
  check(
    stay('k6-smoke', token, 1, 1000, () => {}),
    { 'the same token a second time is refused': (each) => each === 403 },
  )
}

export const teardown = ({ lostBefore }) => check(losses(), { 'nothing was lost': (each) => each === lostBefore })
