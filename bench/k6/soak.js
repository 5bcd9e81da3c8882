/** Two hundred clients that come and go for hours: k6 run -e HOURS=8 bench/k6/soak.js. Look at memory on the saturation dashboard. */

import { check } from 'k6'
import exec from 'k6/execution'
import { counted, invite, losses, publish, stay } from './gateway.js'

export const options = {
  scenarios: { soak: { executor: 'constant-vus', vus: 200, duration: `${__ENV.HOURS || 1}h` } },
  thresholds: { checks: ['rate>0.9999'], delivery: ['p(99)<100'] },
}

export const setup = () => ({ lostBefore: losses(), bytesBefore: counted('process_resident_memory_bytes') })

export default async function () {
  const session = `k6-soak-${exec.vu.idInTest}`
  const status = stay(session, await invite(session), 30 + Math.random() * 300, 2000, () => publish(session))
  check(status, { 'the upgrade is accepted': (each) => each === 101 })
}

export const teardown = ({ lostBefore, bytesBefore }) => {
  check(losses(), { 'nothing was lost': (each) => each === lostBefore })
  check(counted('process_resident_memory_bytes'), { 'memory did not double': (each) => each < 2 * bytesBefore + 50e6 })
}
