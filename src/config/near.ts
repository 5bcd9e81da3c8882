/** Names of environment variables that are meant for us, or look so. */

/** Shorter names are near to too many others: HOME is two letters away from HOST. */
const MIN_LENGTH = 8
const MAX_DISTANCE = 2

/**
 * Letters to add, to drop, to change, or to swap with their neighbour, to turn `a` into `b`.
 * @param most where the distance is larger than this, any larger number is returned.
 */
export function editDistance(a: string, b: string, most = Infinity): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  let leastBefore = 0
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const changed = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity
      const distance = Math.min(changed, swapped, last[j]! + 1, row[j - 1]! + 1)
      row.push(distance)
      if (distance < least) least = distance
    }
    // No way through this row is short enough, and none that swaps over it.
    if (least > most && leastBefore >= most) return least
    leastBefore = least
    before = last
    last = row
  }
  return last[b.length]!
}

/** A bit for each letter that occurs. Some letters share a bit. */
function lettersOf(name: string): number {
  let letters = 0
  for (let i = 0; i < name.length; i++) letters |= 1 << (name.charCodeAt(i) & 31)
  return letters
}

/**
 * Whether the letters alone show more than `MAX_DISTANCE` changes. A change adds one letter and
 * removes another at most. Without this, each foreign variable costs the start 0.9 ms of CPU.
 */
function differ(a: number, b: number): boolean {
  let letters = a ^ b
  let count = 0
  for (; letters !== 0; count++) letters &= letters - 1
  return count > 2 * MAX_DISTANCE
}

/**
 * Returns a function that finds the known name which is at most two letters away, the nearest
 * first; undefined when none is.
 */
export function nearestOf(known: Iterable<string>): (name: string) => string | undefined {
  const byLength = new Map<number, { readonly each: string; readonly letters: number }[]>()
  for (const each of known) {
    const sameLength = byLength.get(each.length)
    const entry = { each, letters: lettersOf(each) }
    if (sameLength) sameLength.push(entry)
    else byLength.set(each.length, [entry])
  }
  return (name) => {
    let found: string | undefined
    let least = MAX_DISTANCE + 1
    if (name.length < MIN_LENGTH) return undefined
    const letters = lettersOf(name)
    for (let length = name.length - MAX_DISTANCE; length <= name.length + MAX_DISTANCE; length++) {
      for (const { each, letters: others } of byLength.get(length) ?? []) {
        if (differ(letters, others)) continue
        const distance = editDistance(name, each, least - 1)
        if (distance < least) [found, least] = [each, distance]
      }
    }
    return found
  }
}

/**
 * Whether Kubernetes set this variable for a Service (REDIS_PORT=tcp://10.0.0.1:6379,
 * WSPROXY_SERVICE_HOST), which has nothing to do with a setting of that name.
 */
export const isServiceLink = (name: string, value: string): boolean =>
  (/_PORT(_\d+_(TCP|UDP|SCTP))?$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value)) ||
  /_PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$/.test(name) ||
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name)
