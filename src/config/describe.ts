import { ALIASES, aliasesOf, WITHOUT_SETTING } from './aliases.ts'
import type { Kind } from './kinds.ts'
import type { Loaded } from './load.ts'
import type { Shares } from './shares.ts'
import { type Config, settings } from './table.ts'

/** A setting as people read it. */
export interface EffectiveSetting {
  readonly name: string
  readonly aliases: readonly string[]
  readonly group: string
  readonly type: string
  /** Choices or bounds; empty: any value of the type. */
  readonly values: string
  /** The unit of a number that is written without one. */
  readonly unit: string
  /** As it was written; empty: not set. Secrets are masked. */
  readonly value: string
  /** The variable that it came from, or `default`. */
  readonly source: string
  readonly default: string
  /** What each worker has of it, in plain units; undefined: it is not divided. */
  readonly perWorker?: number
  readonly description: string
}

const TYPES: Partial<Record<Kind, string>> = {
  redisUrl: 'URL',
  httpUrl: 'URL',
  integerOrAuto: 'integer or `auto`',
}

/** All settings in the order of the table; without `loaded`, with their defaults. */
export function describeSettings(loaded?: Loaded): EffectiveSetting[] {
  return Object.entries(settings).map(([key, setting]) => {
    const { env, group, kind, choices, bounds, unit, secret, description } = setting
    const { minimum, maximum } = bounds
    const text = loaded?.given[env] ?? setting.default ?? ''
    const perWorker = loaded?.shares?.[key as keyof Shares]
    return {
      name: env,
      aliases: aliasesOf(env).map(({ name }) => name),
      group,
      type: TYPES[kind] ?? kind,
      values: [...choices, minimum && `at least ${minimum}`, maximum && `at most ${maximum}`]
        .filter(Boolean)
        .join(', '),
      unit,
      value: secret ? mask(text, kind) : text,
      source: loaded?.sources[key as keyof Config] ?? 'default',
      default: setting.default ?? '',
      ...(perWorker !== undefined && { perWorker }),
      description,
    }
  })
}

/** Hides a secret. Of a URL only the password and the query are secret. */
function mask(secret: string, kind: Kind): string {
  if (secret === '') return ''
  if (!(kind === 'redisUrl' || kind === 'httpUrl') || !URL.canParse(secret)) return '***'
  const url = new URL(secret)
  if (url.password !== '') url.password = '***'
  if (url.search !== '') url.search = '***'
  return url.href
}

const PAGE_HEAD = `<!-- Written by \`npm run generate\` from src/config/table.ts. Do not edit. -->

# Settings

wsproxy reads its settings from environment variables, once, at start. It reports all invalid ones
together and exits with status 2.

- \`WSPROXY_<NAME>\` wins over \`<NAME>\`, and \`<NAME>\` wins over its aliases. An unknown \`WSPROXY_\`
  name is an error. An empty variable counts as not set.
- Durations: \`500ms\`, \`5s\`, \`1m30s\`, \`2h\`, \`7d\`; at most \`24d\` unless the table allows more.
  A number without a unit is in seconds.
- Sizes: \`64KB\`, \`10MiB\`, \`1GiB\` (a K is 1024 with and without the i). A number without a unit is in bytes.
- Lists are separated by commas.
- A secret may also stand in a file: \`<NAME>_FILE\` gives its path. Secrets are SECRETS.

\`wsproxy config\` prints the values in effect and where each comes from, with secrets masked.
`

/** The reference page of all settings, `docs/reference/settings.md`, in Markdown. */
export function settingsPage(): string {
  const described = describeSettings()
  const headings = [...new Set(described.map(({ group }) => group))]
  const sections = headings.map((heading) =>
    [
      `## ${heading}\n`,
      '| Name | Type | Values | Unit | Default | Description |',
      '|---|---|---|---|---|---|',
      ...described.filter(({ group }) => group === heading).map(pageRow),
      '',
    ].join('\n'),
  )
  return [PAGE_HEAD.replace('SECRETS', secretNames()), ...sections, ...aliasSection()].join('\n')
}

const secretNames = (): string =>
  Object.values(settings)
    .filter(({ secret }) => secret)
    .map(({ env }) => `\`${env}\``)
    .join(', ')

/** The names of other programs, so that a person who moves finds them on one page. */
function aliasSection(): string[] {
  const rows = ALIASES.map(({ program, name, of }) => `| ${program} | \`${name}\` | \`${of}\` |`)
  return [
    '## Names of other programs\n',
    'They count where the setting itself is not set. `wsproxy config` shows which name gave the value.\n',
    '| Program | Name | Setting |',
    '|---|---|---|',
    ...rows,
    '',
    `Accepted, and ignored with a warning: ${Object.keys(WITHOUT_SETTING)
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
    '',
  ]
}

function pageRow({ name, aliases, type, values, unit, default: written, description }: EffectiveSetting): string {
  const code = (text: string) => (text === '' ? '' : `\`${text}\``)
  const names = [code(name), ...aliases.map((alias) => `alias ${code(alias)}`)].join('<br>')
  return `| ${[names, type, values, unit, code(written), description].join(' | ')} |`
}
