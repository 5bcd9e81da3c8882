import { readdirSync } from 'node:fs'

const FOLDER = new URL('../../src/preflight/checks/', import.meta.url)

/** The file that the list of the built-in checks is written to. */
export const builtInFile = new URL('../../src/preflight/built-in.gen.ts', import.meta.url)

const camelCase = (name: string): string => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

/** Returns a module that imports each built-in check. */
export function builtInList(): string {
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort()
  return [
    '/** Generated from the folder of the built-in checks: npm run generate. */',
    ...names.map((name) => `import * as ${camelCase(name)} from './checks/${name}.ts'`),
    '',
    '/** Each built-in check by the name of its file. */',
    'export const builtInChecks: ReadonlyMap<string, object> = new Map<string, object>([',
    ...names.map((name) => `  ['${name}.js', ${camelCase(name)}],`),
    '])',
    '',
  ].join('\n')
}
