import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type {
  Check,
  CheckContext,
  CheckedGateway,
  CheckedRedis,
  Launch,
  Report,
  Result,
  Verdict,
} from '../../src/preflight/check.ts'
import { atEnd, type Scope } from './scope.ts'

class CheckFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'wsproxy-checks-'))
  readonly url = pathToFileURL(join(this.path, '/'))

  /** @param source of the module. */
  add(file: string, source: string): this {
    writeFileSync(join(this.path, file), source)
    return this
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** A folder of check files, removed when the scope ends. */
export function checkFolderFor(scope: Scope): CheckFolder {
  const folder = new CheckFolder()
  atEnd(scope, () => folder.remove())
  return folder
}

/** The source of a check; `body` is that of its execute(launch, signal, context). */
export const checkSource = (name: string, body: string, priority = 0, appliesTo = "'all'"): string =>
  `export default { name: '${name}', priority: ${priority}, appliesTo: ${appliesTo},
    async execute(launch, signal, context) { ${body} } }`

export const FULL: Launch = { mode: 'full', eventType: 'none' }
export const LIGHT: Launch = { mode: 'light', eventType: 'none' }
export const PASS: Verdict = { status: 'pass', message: 'fine' }

/** A check with this `execute`, which by default passes. */
export const newCheck = (
  name: string,
  execute: Check['execute'] = async () => PASS,
  rest: Partial<Omit<Check, 'name' | 'execute'>> = {},
): Check => ({ name, priority: 0, appliesTo: 'all', execute, ...rest })

/** The context of a check: what the test gives answers, and any other call throws. */
export const checkContext = ({
  redis = {},
  gateway = {},
  now = Date.now,
}: {
  redis?: Partial<CheckedRedis>
  gateway?: Partial<CheckedGateway>
  now?: () => number
} = {}): CheckContext => ({
  redis: { address: 'redis://127.0.0.1:1', ...redis } as CheckedRedis,
  gateway: { runDoor: true, httpDependencies: [], filesPerSocket: 1, ...gateway } as CheckedGateway,
  now,
})

/** The result of one check in a report. @throws when the report lacks the check. */
export function resultOf({ checks }: { readonly checks: readonly Result[] }, name: string): Result {
  const found = checks.find((each) => each.name === name)
  if (found === undefined) throw new Error(`the report has no check ${name}: ${checks.map((each) => each.name)}`)
  return found
}

let made = 0

/** A report as a run makes it, with an id of its own. */
export function newReport(rest: Partial<Report> = {}): Report {
  const createdAt = rest.createdAt ?? new Date().toISOString()
  const id = `${Date.parse(createdAt).toString(36).padStart(9, '0')}-${(++made).toString(16).padStart(16, '0')}`
  const checks: Result[] = [
    { name: 'redis', status: 'pass', message: 'Redis answers in 0.3 ms', durationMs: 0.4 },
    { name: 'token-store', status: 'pass', message: 'a token can be stored, and is spent once', durationMs: 0.8 },
  ]
  const healthy = rest.healthy ?? true
  return { id, ...FULL, healthy, success: healthy, hasWarnings: false, checks, durationMs: 2.5, ...rest, createdAt }
}
