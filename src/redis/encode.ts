/** A command as an array of bulk strings. */
export function encodeCommand(args: readonly (string | Buffer)[]): string | Buffer {
  if (args.every((arg) => typeof arg === 'string')) {
    let text = `*${args.length}\r\n`
    for (const arg of args) text += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`
    return text
  }
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg) : arg
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}
