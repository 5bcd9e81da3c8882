import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const path = PATHS.find((each) => existsSync(each))

/** For `{ skip }` of tests in a browser: false where there is one, else why they are skipped. */
export const withoutBrowser: string | false = path ? false : 'needs Chromium'

export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: path!, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
