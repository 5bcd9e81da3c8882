/** The most arrivals in a bin over the mean of all bins between the first and the last. */
export function peakOverMean(times: readonly number[], binMs: number): number {
  const first = Math.min(...times)
  const bins = new Map<number, number>()
  for (const at of times) {
    const bin = Math.floor((at - first) / binMs)
    bins.set(bin, (bins.get(bin) ?? 0) + 1)
  }
  return Math.max(...bins.values()) / (times.length / (Math.max(...bins.keys()) + 1))
}
