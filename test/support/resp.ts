/** Cuts a stream of RESP3 (Redis serialization protocol specification) into its values. */
export class RespValues {
  #rest: Buffer = Buffer.alloc(0)

  /** Takes a chunk and returns the bytes of each value that is complete now. */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const values: Buffer[] = []
    let start = 0
    for (let end = endOf(bytes, 0); end !== undefined; end = endOf(bytes, start)) {
      values.push(bytes.subarray(start, end))
      start = end
    }
    this.#rest = bytes.subarray(start)
    return values
  }
}

/** Whether the value is a message of a subscribed channel. */
export const isMessage = (value: Buffer): boolean =>
  />3\r\n\$\d+\r\ns?message\r\n/.test(value.toString('latin1', 0, 20))

/** How many values each entry of an aggregate has, by type. */
const PER_ENTRY: Readonly<Record<string, number>> = { '*': 1, '>': 1, '~': 1, '%': 2 }
const BULK = '$=!'

/** The end of the value that begins at `start`; undefined when the value is incomplete. */
function endOf(bytes: Buffer, start: number): number | undefined {
  const line = bytes.indexOf('\r\n', start)
  if (line < 0) return undefined
  const type = String.fromCharCode(bytes[start]!)
  const count = Number(bytes.toString('latin1', start + 1, line))
  if (BULK.includes(type) && count >= 0) {
    const end = line + 2 + count + 2
    return end <= bytes.length ? end : undefined
  }
  let end: number | undefined = line + 2
  for (let left = count * (PER_ENTRY[type] ?? 0); left > 0 && end !== undefined; left--) end = endOf(bytes, end)
  return end
}
