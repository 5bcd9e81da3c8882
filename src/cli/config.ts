import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeSettings, type EffectiveSetting, settingsPage } from '../config/describe.ts'
import { loadConfig } from '../config/load.ts'
import { PACKAGE_ROOT } from '../contract/root.ts'

import { workerCount } from '../platform/cpus.ts'
import { printable } from '../platform/printable.ts'

import { reasonOf } from '../platform/reason.ts'

import { workerShares } from './divided.ts'
import { CommandFailed } from './failure.ts'
import { askRunning } from './running.ts'

/** In the tree of the project; an installed package does not contain it. */
const PAGE = fileURLToPath(new URL('docs/reference/settings.md', PACKAGE_ROOT))

export interface ConfigCommandOptions {
  readonly json?: true
  readonly running?: true
  /** true: the page of this project; a path; or `-` for stdout. */
  readonly markdown?: true | string
}

/** Prints the effective settings and their sources with secrets masked, or writes the page. */
export async function config({ json, running, markdown }: ConfigCommandOptions): Promise<void> {
  if (markdown !== undefined) return writePage(markdown === true ? PAGE : markdown)
  const loaded = loadConfig()
  if (running) {
    const gateway = await askRunning(loaded.config)
    if (json) return console.log(JSON.stringify(gateway, null, 2))
    console.error(`wsproxy ${gateway.version}, pid ${gateway.pid}, Redis: ${gateway.redis}`)
    return printTable(gateway.settings)
  }
  for (const notice of loaded.notices) console.error(notice)
  const workers = workerCount(loaded.config.workers)
  const settings = describeSettings(workers > 1 ? { ...loaded, shares: workerShares(loaded, workers) } : loaded)
  if (json) return console.log(JSON.stringify(settings, null, 2))
  printTable(settings)
}

type Row = Pick<EffectiveSetting, 'name' | 'value' | 'source' | 'perWorker'>

function printTable(settings: readonly Row[]): void {
  const width = (pick: (each: Row) => string) => Math.max(...settings.map((each) => pick(each).length))
  const shown = ({ source, perWorker }: Row) => (perWorker === undefined ? source : `${source} (${perWorker} a worker)`)
  const names = width((each) => each.name)
  const values = width((each) => each.value)
  for (const row of settings)
    console.log(printable(`${row.name.padEnd(names)}  ${row.value.padEnd(values)}  ${shown(row)}`))
}

function writePage(path: string): void {
  if (path === '-') return void process.stdout.write(settingsPage())
  try {
    writeFileSync(path, settingsPage())
  } catch (cause) {
    throw new CommandFailed(`cannot write ${path} (${reasonOf(cause)}); "--markdown -" prints the page`)
  }
  console.log(path)
}
