import { aliasesOf } from './aliases.ts'
import { CLIENT_TOKEN } from './env.ts'
import { findTexts } from './sources.ts'
import { settings } from './table.ts'

/** A passphrase may have spaces: its words stand in many texts, and are no secrets. */
const PASSPHRASE = 'DEFAULT_ADMIN_PASSWORD'

/**
 * Returns the texts of an environment that must not be shown: the value of each secret setting,
 * under any of its names and from its file, and what is secret within it. Values that are not valid
 * or not used count as well: an error may quote them.
 */
export function secretsIn(env: NodeJS.ProcessEnv): string[] {
  const all = Object.values(settings)
  const secret = all.filter((setting) => setting.secret).map((setting) => setting.env)
  const names = secret.flatMap((name) => [`WSPROXY_${name}`, name, ...aliasesOf(name).map((alias) => alias.name)])
  const { given } = findTexts(env, all)
  const values = [...[CLIENT_TOKEN, ...names].map((name) => env[name]), ...secret.map((name) => given[name])]
  const phrase = given[PASSPHRASE]
  return [...new Set(values)].flatMap((value = '') => (value === phrase ? [value] : partsOf(value)))
}

/** A URL is not secret as a whole: its host helps in an error. Its password and its query are. */
function partsOf(value: string): string[] {
  const [, user = '', password = ''] = /^[a-z][a-z\d+.-]*:\/\/([^/?#@:]*):(.*)@/is.exec(value) ?? []
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(value)) {
    // The key of a Sentry DSN is its user name.
    const key = password === '' ? (/^https?:\/\/([^/?#@:]+)@/i.exec(value)?.[1] ?? '') : ''
    const query = /\?([^#]*)/.exec(value)?.[1] ?? ''
    const values = query.split('&').map((pair) => pair.slice(pair.indexOf('=') + 1))
    return [password, key, ...values].flatMap((part) => [part, decoded(part)]).filter((part) => part !== user)
  }
  return [value, ...value.split(/\s+/)]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
