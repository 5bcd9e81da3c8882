'use strict'
import('../dist/src/cli/main.js')
