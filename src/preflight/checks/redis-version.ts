import { type Product, productIn } from '../../redis/servers/features.ts'
import { isReply } from '../../redis/wire/errors.ts'
import type { Check } from '../check.ts'

const OLDEST = [6, 0] as const

const check: Check = {
  name: 'redis-version',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const infos = await redis.everyNode(['INFO', 'server'], signal).catch((error: Error) => {
      // Hosted servers rename or forbid INFO, and each words its error differently.
      if (isReply(error)) return undefined
      throw error
    })
    if (infos === undefined) return { status: 'warn', message: 'INFO is not allowed, so the version is unknown' }
    const products = infos.map((info) => productIn(String(info)))
    const found = [...new Set(products.map(textOf))].join(', ')
    const old = products.filter((each) => each?.name === 'Redis' && isOld(each.version))
    const details = { versions: found }
    if (old.length === 0) return { status: 'pass', message: found, details }
    return {
      status: 'fail',
      message: `${[...new Set(old.map(textOf))].join(', ')}; ${OLDEST.join('.')} is the oldest supported version`,
      details,
      remediation: 'Update Redis (or Valkey).',
    }
  },
}
export default check

const textOf = (product: Product | undefined): string =>
  product === undefined ? 'a version that INFO does not say' : `${product.name} ${product.version}`

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}
