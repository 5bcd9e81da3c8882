import { describeSettings, type EffectiveSetting, loadConfig } from '../config/load.ts'

/** Prints the effective settings (secrets masked) with the source of each, or the table of all settings. */
export function config(options: { readonly json?: true; readonly markdown?: true }): void {
  if (options.markdown) return console.log(markdown())
  const settings = describeSettings(loadConfig())
  if (options.json) return console.log(JSON.stringify(settings, null, 2))
  const width = (pick: (each: EffectiveSetting) => string) => Math.max(...settings.map((each) => pick(each).length))
  const names = width((each) => each.name)
  const values = width((each) => each.value)
  for (const { name, value, source } of settings)
    console.log(`${name.padEnd(names)}  ${value.padEnd(values)}  ${source}`)
}

/** The README's table. */
function markdown(): string {
  const rows = describeSettings().map(
    (each) => `| \`${each.name}\` | ${each.kind} | ${each.default} | ${each.description} |`,
  )
  return ['| variable | kind | default | meaning |', '|---|---|---|---|', ...rows].join('\n')
}
