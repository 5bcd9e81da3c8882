import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../../config/load.ts'
import type { Checklist } from './checklist.ts'

/**
 * Loads another checklist: the default export of the module at `path` (relative to the working directory), keys and rules as in checklist.ts.
 * @throws ConfigError that names what is wrong: the module does not load, has no such export, or a key is no rule that answers true or false.
 */
export async function loadChecklist(path: string): Promise<Checklist> {
  const fail = (problem: string): never => {
    throw new ConfigError([`RUN_CHECKLIST_MODULE: ${path} ${problem}`])
  }
  const module = await import(pathToFileURL(resolve(path)).href).catch((error: Error) =>
    fail(`cannot be loaded: ${error.message}`),
  )
  const table: unknown = module.default
  if (typeof table !== 'object' || table === null || Object.keys(table).length === 0) {
    return fail('has no default export of the shape {key: (fields) => boolean}')
  }
  for (const [key, rule] of Object.entries(table)) {
    if (typeof rule !== 'function') fail(`is broken at "${key}": it is no function`)
    const answer = answerOf(rule)
    if (typeof answer !== 'boolean')
      fail(`is broken at "${key}": for an empty hash it gives ${String(answer)}, not true or false`)
  }
  return table as Checklist
}

function answerOf(rule: (fields: ReadonlyMap<string, string>) => unknown): unknown {
  try {
    return rule(new Map())
  } catch (error) {
    return error
  }
}
