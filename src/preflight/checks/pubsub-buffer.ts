import type { Check } from '../check.ts'
import { settingsOf } from '../probes/reply.ts'

const NAME = 'client-output-buffer-limit'
/** The buffer must hold what arrives while the gateway is busy for this long. */
const STALL_S = 1

const check: Check = {
  name: 'pubsub-buffer',
  priority: 15,
  appliesTo: 'all',
  async execute(_, signal, { redis, gateway: { limits } }) {
    const nodes = await settingsOf(redis, NAME, signal)
    if (nodes === undefined) return { status: 'warn', message: `CONFIG is not allowed, so ${NAME} is unknown` }
    const found = nodes.map(hardLimit).filter((bytes) => bytes !== undefined)
    if (found.length === 0) return { status: 'skipped', message: `Redis has no setting ${NAME}` }
    const least = Math.min(...found.map((bytes) => bytes || Number.POSITIVE_INFINITY))
    const needed = Math.max(limits.expectedBytesPerSecond * STALL_S, limits.maxBufferBytes)
    if (least >= needed) {
      const size = Number.isFinite(least) ? `holds ${mib(least)}` : 'has no limit'
      return { status: 'pass', message: `the pub/sub output buffer ${size}; ${mib(needed)} are needed` }
    }
    return {
      status: 'warn',
      message: `Redis disconnects the gateway when ${mib(least)} of messages wait; at the expected rate ${mib(needed)} may wait`,
      details: { hardLimitBytes: least, neededBytes: needed },
      remediation: `redis-cli CONFIG SET ${NAME} "pubsub ${needed * 2} ${needed} 60", or see PREFLIGHT_EXPECTED_RATE and MAX_BUFFER_SIZE_BYTES`,
    }
  },
}
export default check

/** The hard limit in `... pubsub <hard> <soft> <seconds>`, in bytes; 0 means no limit. */
function hardLimit(setting: string): number | undefined {
  const [, bytes] = /(?:^|\s)pubsub (\d+) /.exec(setting) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

const mib = (bytes: number): string => `${Math.round((bytes / 1024 ** 2) * 10) / 10} MiB`
