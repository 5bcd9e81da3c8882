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
        message: `no upgrade on loopback: ${(error as Error).message}`,
        remediation: 'See whether LISTEN_ADDR is an address of this machine, and its port is taken by nobody else.',
      }
    }
  },
}
export default check
