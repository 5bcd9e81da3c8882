/** A RESP command or push, encoded once, then copied and stamped. */
export function command(...parts: (string | Buffer)[]): Buffer {
  const all = parts.map((part) => Buffer.from(part))
  const each = all.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])
  return Buffer.concat([Buffer.from(`*${all.length}\r\n`), ...each])
}
