'use strict'
/**
 * Runs wsproxy.bundle, which lies beside this file (tools/bundle.mjs). V8 need not parse it where
 * scripts/code-cache.mjs has left its code for just this build of Node, as in the image.
 */
const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { Script } = require('node:vm')

const file = join(__dirname, 'wsproxy.bundle')

function codeCache() {
  try {
    return readFileSync(`${file}.cache`)
  } catch {
    return undefined
  }
}

// The bundle is ASCII. As such, V8 reads it without a conversion.
const script = new Script(readFileSync(file, 'latin1'), { filename: file, cachedData: codeCache() })
const bundle = { exports: {} }
script.runInThisContext()(bundle.exports, createRequire(file), bundle, file, __dirname, (name) => import(name))
module.exports = bundle.exports
module.exports.script = script
