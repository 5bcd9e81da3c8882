import { reasonOf } from '../../platform/reason.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'native-binary',
  priority: 0,
  appliesTo: 'all',
  async execute() {
    const { platform, arch, version } = process
    const details = { node: version, platform, arch }
    try {
      await import('../../platform/uws.ts')
      return { status: 'pass', message: `uWebSockets.js runs on Node ${version}, ${platform}-${arch}`, details }
    } catch (error) {
      return {
        status: 'fail',
        message: reasonOf(error),
        details,
        remediation: 'Use Node 20 or 22 on glibc Linux or macOS, and run "npm ci" again.',
      }
    }
  },
}
export default check
