import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { PACKAGE_ROOT } from '../../contract/root.ts'
import type { ApiResponse } from '../../http/response.ts'

/** Read from src: the compiler does not copy HTML. */
const FILE = new URL('src/preflight/http/monitoring.html', PACKAGE_ROOT)

/**
 * The monitoring page. Its Content-Security-Policy allows only the script and the style in the
 * file, and requests only to this host.
 */
export function monitoringPage(): ApiResponse {
  const html = readFileSync(FILE, 'utf8')
  const hashes = (tag: string) => {
    const texts = html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))
    return Array.from(texts, ([, text]) => `'sha256-${createHash('sha256').update(text!).digest('base64')}'`).join(' ')
  }
  const policy = [
    "default-src 'none'",
    `script-src ${hashes('script')}`,
    `style-src ${hashes('style')}`,
    "connect-src 'self'",
    'img-src data:',
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  return {
    status: '200 OK',
    type: 'text/html; charset=utf-8',
    body: html,
    headers: {
      'Content-Security-Policy': policy.join('; '),
      'Referrer-Policy': 'no-referrer',
      Vary: 'Accept',
    },
  }
}
