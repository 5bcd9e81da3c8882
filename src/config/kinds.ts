/** Kinds of settings: how one is written in the table of settings.ts, and what type it has when it is read. */

type Kind = 'string' | 'integer' | 'boolean' | 'duration' | 'size' | 'list' | 'address' | 'url'

export interface Setting<T> {
  readonly env: string
  readonly kind: Kind
  /** As it would be written in the environment; undefined: not set. */
  readonly default: string | undefined
  readonly description: string
  readonly schema: object
  readonly secret: boolean
  readonly aliases: readonly string[]
  /** Only for the type: what `Config` holds. */
  readonly type?: T
}

interface Options<D extends string | undefined> {
  readonly default: D
  readonly description: string
  readonly minimum?: number
  readonly maximum?: number
  readonly secret?: boolean
  /** Older names, of the run door's predecessor. */
  readonly aliases?: readonly string[]
}
type Value<T, D> = D extends string ? T : T | undefined

const setting =
  <T>(kind: Kind, keywords: (options: Options<string | undefined>) => object) =>
  <const D extends string | undefined>(env: string, options: Options<D>): Setting<Value<T, D>> => ({
    env,
    kind,
    default: options.default,
    description: options.description,
    secret: options.secret ?? false,
    aliases: options.aliases ?? [],
    schema: { ...keywords(options), ...(options.default === undefined ? {} : { default: options.default }) },
  })

const limits = ({ minimum, maximum }: Options<string | undefined>) => ({
  ...(minimum === undefined ? {} : { minimum }),
  ...(maximum === undefined ? {} : { maximum }),
})

export const string = setting<string>('string', () => ({ type: 'string' }))
export const integer = setting<number>('integer', (o) => ({ type: 'string', integer: limits(o) }))
export const boolean = setting<boolean>('boolean', () => ({ type: 'boolean' }))
export const duration = setting<number>('duration', (o) => ({ type: 'string', duration: limits(o) }))
export const size = setting<number>('size', (o) => ({ type: 'string', size: limits(o) }))
export const list = setting<readonly string[]>('list', () => ({ type: 'string', list: true }))
export const address = setting<Address>('address', () => ({ type: 'string', address: true }))
export const redisUrl = setting<string>('url', () => ({ type: 'string', redisUrl: true }))
export const httpUrl = setting<string>('url', () => ({ type: 'string', httpUrl: true }))
export const oneOf = <const T extends readonly string[]>(values: T) =>
  setting<T[number]>('string', () => ({ type: 'string', enum: values }))

/** A host and a port to listen on. */
export interface Address {
  readonly host: string
  readonly port: number
}

export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:\s]*)):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  return match && port <= 65535 ? { host: match[1] ?? (match[2] || '0.0.0.0'), port } : undefined
}
