/**
 * The peer: nginx with nchan, as packaged by Debian, with Redis behind. Agents publish over HTTP,
 * because nchan stores its messages in Redis in a private format. No token is checked. One worker,
 * as for every other subject. NCHAN_MODULE names the module in another place.
 */
import { existsSync } from 'node:fs'
import { onPath, versionOf } from '../stage/installed.ts'
import type { Place, Program, Subject } from '../subject.ts'

const MODULE = process.env.NCHAN_MODULE ?? '/usr/lib/nginx/modules/ngx_nchan_module.so'
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

function program({ port, redisPort, dir }: Place): Program {
  const settings = `
load_module ${MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid ${dir}/nginx.pid;
events { worker_connections 32768; }
http {
  access_log off;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512M;
  ${TEMPORARY.map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
  upstream redis { nchan_redis_server redis://127.0.0.1:${redisPort}; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/sub/([\\w-]+)$ {
      nchan_subscriber websocket;
      nchan_channel_id $1;
      nchan_redis_pass redis;
      nchan_subscriber_first_message newest;
    }
    location ~ ^/pub/([\\w-]+)$ {
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_redis_pass redis;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 10s;
    }
  }
}
`
  const args = ['-c', `${dir}/nginx.conf`, '-e', 'stderr', '-p', dir]
  return { command: 'nginx', args, files: { 'nginx.conf': settings } }
}

function missing(): string | undefined {
  if (!onPath('nginx')) return 'nginx is not on the PATH (Debian: nginx, libnginx-mod-nchan)'
  return existsSync(MODULE) ? undefined : `there is no ${MODULE} (Debian: libnginx-mod-nchan)`
}

const PACE = 'over the one connection of an HTTP publisher it takes 12,000 messages a second at most'

export const NCHAN: Subject = {
  name: 'nchan',
  program,
  env: {},
  ready: 'port',
  dialect: 'nchan',
  missing,
  version: () => `in nginx ${versionOf('nginx', '-v')}`,
  cannot: {
    handshake: 'it asks for no token of Redis',
    unicast: PACE,
    stream: PACE,
    upstream: 'what its clients send goes to its own channels',
  },
}
