'use strict'
// A package has the gateway in one file, which starts without the loader of ES modules.
const bundle = require('node:path').join(__dirname, '../dist/load.cjs')
if (require('node:fs').existsSync(bundle)) require(bundle).main()
else import('../dist/src/cli/main.js')
