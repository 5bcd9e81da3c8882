import type { Command } from 'commander'

/** Command lines that --help shows, by the words of the command. Every command has at least one. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  '': ['wsproxy serve', 'wsproxy connect ws://127.0.0.1:8080/agent-1/ws/s1 --create-token', 'wsproxy doctor'],
  serve: ['wsproxy serve', 'LISTEN_ADDR=127.0.0.1:8081 wsproxy serve', 'REDIS_URL=redis://10.0.0.5:6379 wsproxy serve'],
  health: ['wsproxy health', 'LISTEN_ADDR=:9000 wsproxy health --alive'],
  connect: [
    'wsproxy connect ws://127.0.0.1:8080/agent-1/ws/s1 --create-token',
    'WSPROXY_TOKEN=... wsproxy connect wss://gateway.example.org/agent-1/ws/s1 --reconnect',
    'wsproxy connect ws://127.0.0.1:8080/run-1 --reconnect',
    'wsproxy connect ws://127.0.0.1:8080/agent-1/ws/s1 --create-token --resume',
    'wsproxy connect wss://gateway.example.org/live --origin https://app.example.org',
  ],
  publish: [
    `wsproxy publish s1 '{"type":"token","text":"hello"}'`,
    'tail -f events.jsonl | wsproxy publish s1 -',
    `wsproxy publish --log s1 '{"type":"token","text":"kept"}'`,
    `wsproxy publish --topic system '{"load":0.7}'`,
    'wsproxy publish --run run-1 timestamps:build_channels=1700000000',
  ],
  disconnect: [
    'wsproxy disconnect --session s1',
    'ADMIN_TOKEN=... wsproxy disconnect --address 192.0.2.7 --gateway http://10.0.0.5:9100',
  ],
  heap: ['wsproxy heap', 'HEAP_SNAPSHOT_DIR=/var/tmp wsproxy serve'],
  token: ['wsproxy token create s1 --ttl 5m', 'wsproxy token sign --session s1'],
  'token create': ['wsproxy token create s1', 'wsproxy token create s1 --ttl 5m'],
  'token sign': ['wsproxy token sign --session s1', 'wsproxy token sign --session s1 --read-only --ttl 1h'],
  'token revoke': ['wsproxy token revoke --sub u1', 'wsproxy token revoke --jti 7d1c2e --ttl 24h'],
  user: ['wsproxy user add ada@example.org --role admin', 'wsproxy user list'],
  'user add': [
    'wsproxy user add ada@example.org --role admin --name "Ada Lovelace"',
    'wsproxy user add ci@example.org < password-file',
  ],
  'user list': ['wsproxy user list', 'wsproxy user list --json'],
  'user passwd': ['wsproxy user passwd ada@example.org'],
  'user role': ['wsproxy user role ada@example.org operator'],
  'user sessions': ['wsproxy user sessions ada@example.org', 'wsproxy user sessions ada@example.org --end'],
  'user disable': ['wsproxy user disable ada@example.org'],
  'user enable': ['wsproxy user enable ada@example.org'],
  'user delete': ['wsproxy user delete ada@example.org'],
  redis: ['wsproxy redis acl', 'wsproxy redis install'],
  'redis install': ['wsproxy redis install', 'redis-cli SCRIPT LOAD "$(wsproxy redis install --print script)"'],
  'redis acl': ['wsproxy redis acl', 'wsproxy redis acl --redis 6 --user gateway'],
  'redis-url': ['redis-cli -u "$(wsproxy redis-url)" PING', 'REDIS_URL="$(wsproxy redis-url)" node agent.mjs'],
  doctor: ['wsproxy doctor', 'wsproxy doctor --session s1 --agent agent-1', 'wsproxy doctor --json'],
  config: ['wsproxy config', 'wsproxy config --running', 'wsproxy config --json', 'wsproxy config --markdown -'],
  completion: [
    'source <(wsproxy completion bash)',
    'source <(wsproxy completion zsh)',
    'wsproxy completion fish > ~/.config/fish/completions/wsproxy.fish',
  ],
}

/** Adds the examples to --help of the program and of each command below it. */
export function addExamples(command: Command, path: readonly string[] = []): void {
  const lines = EXAMPLES[path.join(' ')]
  if (lines) command.addHelpText('after', ['', 'Examples:', ...lines.map((line) => `  ${line}`)].join('\n'))
  for (const each of command.commands) addExamples(each, [...path, each.name()])
}
