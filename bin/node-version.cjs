'use strict'
/**
 * Ends the process with status 2 when wsproxy cannot run on this version of Node, and prints the
 * command that mends it. It runs before anything is installed, compiled or imported. It is ES5, so
 * that each version of Node can parse it.
 */
var manifest = require('../package.json')

/** The version in `dependencies` where the native library is the default one. */
var DEFAULT_LIBRARY = 'npm:uws-pack@'
/** The release of the official library that has binaries for Node 23 and 24 too. */
var OFFICIAL_LIBRARY = 'github:uNetworking/uWebSockets.js#v20.52.0'

var running = process.versions.node
var parts = running.split('.')
var major = Number(parts[0])
var isTooOld = major < 20 || (major === 20 && Number(parts[1]) < 14)
var isTooNew = major > 22 && manifest.dependencies['uWebSockets.js'].indexOf(DEFAULT_LIBRARY) === 0

var remedy = 'nvm install 22'
if (isTooOld || isTooNew) {
  if (isTooNew && major < 25 && require('fs').existsSync(__dirname + '/../package-lock.json'))
    remedy += ', or stay on it: npm pkg set "dependencies[uWebSockets.js]=' + OFFICIAL_LIBRARY + '" && npm install'
  console.error('wsproxy needs Node 20 (20.14 or later) or 22; this is Node ' + running + '. Run: ' + remedy)
  process.exit(2)
}
