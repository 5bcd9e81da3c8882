/** A thousand clients within twenty seconds, as after a restart. All come from one address: CONNECT_RATE_PER_IP=0 on the gateway. */

import { check } from 'k6'
import exec from 'k6/execution'
import { counted, invite, publish, stay } from './gateway.js'

export const options = {
  scenarios: {
    burst: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: '20s', target: 1000 },
        { duration: '30s', target: 1000 },
        { duration: '5s', target: 0 },
      ],
    },
  },
  thresholds: { checks: ['rate>0.999'], delivery: ['p(99)<250'] },
}

export default async function () {
  const session = `k6-burst-${exec.vu.idInTest}`
  const status = stay(session, await invite(session), 20, 5000, () => publish(session))
  check(status, { 'the upgrade is accepted': (each) => each === 101 })
}

export const teardown = () => check(counted('wsproxy_errors_total'), { 'no faults': (each) => each === 0 })
