import type { Config } from './table.ts'

/** A part of the gateway that answers without a token. */
export interface OpenPart {
  readonly name: string
  /** What closes it. */
  readonly remedy: string
}

/** The parts that anybody can use who reaches the listener. */
export function openParts(config: Config): OpenPart[] {
  const { runDoor, runAuth, wsAuthRequired, metricsEnabled, adminPort } = config
  return [
    ...(runDoor && runAuth === 'none' ? [{ name: 'the run door', remedy: 'RUN_AUTH=bearer' }] : []),
    ...(wsAuthRequired ? [] : [{ name: 'the live door', remedy: 'WS_AUTH_REQUIRED=true' }]),
    ...(metricsEnabled && adminPort === undefined ? [{ name: '/metrics', remedy: 'ADMIN_PORT' }] : []),
  ]
}

/** The same as one sentence; undefined when nothing is open. */
export function exposureOf(config: Config): string | undefined {
  const parts = openParts(config)
  if (parts.length === 0) return undefined
  const names = parts.map(({ name, remedy }) => `${name} (${remedy} closes it)`)
  return `open to anybody: ${names.join(', ')}`
}
