import { isReply } from '../../redis/wire/errors.ts'
import type { CheckedRedis } from '../check.ts'

/** The value of a Redis setting on each node; undefined where CONFIG is not allowed. */
export async function settingsOf(
  redis: CheckedRedis,
  name: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    return (await redis.everyNode(['CONFIG', 'GET', name], signal)).map((answer) => pairsOf(answer)[0]?.[1] ?? '')
  } catch (error) {
    // Hosted servers rename or forbid CONFIG, and each words its error differently.
    if (isReply(error)) return undefined
    throw error
  }
}

/** The names and values of a map, which Redis may send as a flat list, an object or a Map. */
export function pairsOf(answer: unknown): [string, string][] {
  if (answer instanceof Map) return [...answer].map(([name, value]) => [String(name), String(value)])
  if (Array.isArray(answer)) {
    return Array.from({ length: answer.length / 2 }, (_, i) => [String(answer[2 * i]), String(answer[2 * i + 1])])
  }
  return Object.entries(answer ?? {}).map(([name, value]) => [name, String(value)])
}
