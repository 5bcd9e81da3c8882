import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const path = PATHS.find((each) => existsSync(each))

/** For `{ skip }`: false where Chromium is installed, else the reason to skip. */
export const withoutBrowser: string | false = path ? false : 'needs Chromium'

export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: path!, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
