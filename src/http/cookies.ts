/** The value of a cookie in a `Cookie` header (RFC 6265, section 4.2.1); '' without it. */
export function cookieIn(header: string, cookie: string): string {
  for (const pair of header.split(';')) {
    const text = pair.trim()
    if (text.startsWith(`${cookie}=`)) return text.slice(cookie.length + 1)
  }
  return ''
}
