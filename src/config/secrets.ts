import { aliasesOf } from './aliases.ts'
import { CLIENT_TOKEN } from './env.ts'
import { findTexts } from './sources.ts'
import { secretList } from './strength.ts'
import { settings } from './table.ts'

/**
 * Settings that hold several secrets. Another secret may be a passphrase with spaces: its words
 * stand in many texts, and are no secrets.
 */
const LISTS: ReadonlySet<string> = new Set(['AUTH_JWT_SECRET', 'FLEET_SECRET'])

/**
 * Returns the texts of an environment that must not be shown: the value of each secret setting,
 * under any of its names and from its file, and what is secret within it. Values that are not valid
 * or not used count as well: an error may quote them.
 */
export function secretsIn(env: NodeJS.ProcessEnv): string[] {
  const all = Object.values(settings)
  const { given } = findTexts(env, all)
  const found = all
    .filter((setting) => setting.secret)
    .flatMap(({ env: name }) => {
      const names = [`WSPROXY_${name}`, name, ...aliasesOf(name).map((alias) => alias.name)]
      const values = new Set([...names.map((each) => env[each]), given[name]])
      return [...values].flatMap((value = '') => {
        if (isAddress(name)) return partsOf(value)
        return LISTS.has(name) ? [value, ...secretList(value)] : [value]
      })
    })
  return [...new Set([env[CLIENT_TOKEN] ?? '', ...found])]
}

/** Settings that are URLs. A password may look like one, and is secret as a whole. */
const isAddress = (name: string): boolean => /(URL|DSN|ENDPOINT)$/.test(name)

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
  return [value]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
