/**
 * The peer: webdis, as packaged by Debian, which speaks Redis commands as JSON over HTTP and
 * WebSockets. A client subscribes itself, and no token is checked. One worker thread, as for every
 * other subject.
 */

import { onPath, packageVersion } from '../stage/installed.ts'
import type { Place, Program, Subject } from '../subject.ts'

function program({ port, redisPort, dir }: Place): Program {
  const settings = {
    redis_host: '127.0.0.1',
    redis_port: redisPort,
    http_host: '127.0.0.1',
    http_port: port,
    threads: 1,
    daemonize: false,
    websockets: true,
    database: 0,
    acl: [],
    verbosity: 0,
    logfile: `${dir}/webdis.log`,
  }
  return { command: 'webdis', args: [`${dir}/webdis.json`], files: { 'webdis.json': JSON.stringify(settings) } }
}

const ORDER = 'it delivers messages that come together in the wrong order'

export const WEBDIS: Subject = {
  name: 'webdis',
  program,
  env: {},
  ready: 'port',
  dialect: 'webdis',
  missing: () => (onPath('webdis') ? undefined : 'webdis is not on the PATH (Debian: webdis)'),
  // No version option: webdis starts as a server whatever its arguments are.
  version: () => packageVersion('webdis'),
  cannot: {
    handshake: 'it asks for no token',
    // Seen with 0.1.9: 24 messages published together arrived in reverse order.
    stream: ORDER,
    fanout: ORDER,
    'unicast-saturated': ORDER,
    'unicast-smooth': ORDER,
    idle: 'it opens a connection to Redis for each of its clients, and 10,000 are too many for both',
    upstream: 'a socket that has subscribed cannot publish',
  },
}
