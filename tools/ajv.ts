import type { Ajv } from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'

/**
 * A TypeScript module with ajv's compiled validation functions.
 * @param references the exported name of each function and the id of its schema.
 * @param source the file that the schemas come from, for the first line.
 */
export function moduleOf(ajv: Ajv, references: Readonly<Record<string, string>>, source: string): string {
  const code = standalone.default(ajv, references)
  // The code requires what it needs at run time, which an ES module cannot.
  const modules: string[] = []
  const body = code.replaceAll(/= ?require\("([^"]+)"\)(\.\w+)?/g, (_, path: string, member = '') => {
    const relative = path.startsWith('.')
    const name = `module${modules.length}`
    modules.push(relative ? `import * as ${name} from '${path}'` : `import ${name} from '${path}.js'`)
    return `= ${name}${member}`
  })
  const typed = body
    .replace(/^"use strict";/, '')
    .replaceAll(/^export const (\w+) =/gm, 'export const $1: ValidateFunction =')
  return [
    '// @ts-nocheck',
    `// Generated from ${source} by \`npm run generate\`. Do not edit.`,
    "import type { ValidateFunction } from 'ajv'",
    ...modules,
    typed,
    '',
  ].join('\n')
}
