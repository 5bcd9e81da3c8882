/** Statistics over several rounds. */

export interface Summary {
  median: number
  min: number
  max: number
}

/** Median and spread; undefined for an empty list. */
export function summarise(values: number[]): Summary | undefined {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

export const meanOf = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
