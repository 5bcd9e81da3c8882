/** Compiles the validation of settings, which took most of a start when ajv did it at run time. */
import { _, Ajv, type Code, type KeywordCxt } from 'ajv'
import { convert } from '../../src/config/kinds.ts'
import { settings } from '../../src/config/table.ts'
import { moduleOf } from '../ajv.ts'

/** The validation, in the tree; this file runs from `dist/tools/config`. */
export const validationFile = new URL('../../../src/config/validate.gen.ts', import.meta.url)

/**
 * The text of `validate.gen.ts`: a function that checks the texts of all settings by name, fills in
 * defaults and replaces each text with its value.
 */
export function generateValidation(): string {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    strict: true,
    code: { source: true, esm: true, lines: true },
  })
  ajv.addKeyword({
    keyword: 'convert',
    schemaType: 'object',
    modifying: true,
    code(cxt: KeywordCxt) {
      const { gen, data, schemaCode, it } = cxt
      const call = gen.scopeValue('func', { ref: convert, code: _`require("./kinds.ts").convert` })
      const result = gen.const('result', _`${call}(${data}, ${schemaCode})`)
      cxt.setParams({ problem: _`${result}.problem` })
      cxt.failResult(
        _`${result}.problem !== undefined`,
        () => gen.assign(_`${it.parentData}[${it.parentDataProperty}]`, _`${result}.value`),
        () => cxt.error(),
      )
    },
    error: { message: ({ params }) => params.problem as Code, params: () => _`{}` },
  })
  const properties = Object.values(settings).map(({ env, kind, choices, bounds, default: written }) => [
    env,
    {
      convert: { kind, ...(choices.length > 0 && { choices }), ...bounds },
      ...(written !== undefined && { default: written }),
    },
  ])
  ajv.addSchema({ $id: 'settings', type: 'object', properties: Object.fromEntries(properties) })
  return moduleOf(ajv, { validateSettings: 'settings' }, 'src/config/table.ts')
}
