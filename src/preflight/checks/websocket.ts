import { reasonOf } from '../../platform/reason.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'websocket',
  priority: 0,
  appliesTo: 'all',
  async execute(_, signal, { gateway }) {
    try {
      return { status: 'pass', message: `an upgrade was accepted: ${await gateway.upgrade(signal)}` }
    } catch (error) {
      return {
        status: 'fail',
        message: `the upgrade over loopback failed: ${reasonOf(error)}`,
        remediation: 'Check that LISTEN_ADDR is an address of this machine and that no other program uses its port.',
      }
    }
  },
}
export default check
