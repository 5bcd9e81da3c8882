/**
 * The alert rules. Each objective has recording rules for its error ratio over each window, and
 * alerts on how fast that ratio burns its 30-day budget. Each alert uses a long window and a short
 * one, so that it ends soon after the fault.
 */

const WINDOWS = ['5m', '30m', '1h', '6h', '3d']

/**
 * Refusals that count as faults of the service. A wrong token, a bad path or a rate limit is the
 * client's fault, and a drain sends the client to another instance.
 */
const FAULTS = 'internal-error|redis-unavailable|redis-timeout|at-capacity'

const objectives = [
  {
    name: 'Handshakes',
    record: 'wsproxy:handshake_faults:ratio_rate',
    objective: 0.999,
    says: 'of the upgrades fail through the fault of the gateway or of Redis',
    ratio: (window) =>
      `(sum(rate(wsproxy_connections_total{result=~"${FAULTS}"}[${window}])) or vector(0)) / sum(rate(wsproxy_connections_total{result=~"accepted|${FAULTS}"}[${window}]))`,
  },
  {
    name: 'Delivery',
    record: 'wsproxy:delivery_late:ratio_rate',
    objective: 0.99,
    says: 'of the messages stay in the gateway for more than 50 ms',
    ratio: (window) =>
      `1 - sum(rate(wsproxy_message_latency_seconds_bucket{le="0.05"}[${window}])) / sum(rate(wsproxy_message_latency_seconds_count[${window}]))`,
  },
]

const BURNS = [
  { name: 'Fast', factor: 14.4, long: '1h', short: '5m', hold: '2m', severity: 'page', budget: '2 % per hour' },
  { name: 'Steady', factor: 6, long: '6h', short: '30m', hold: '5m', severity: 'page', budget: '5 % per six hours' },
  { name: 'Slow', factor: 1, long: '3d', short: '6h', hold: '1h', severity: 'ticket', budget: 'all in 30 days' },
]

const runbook = (alert) => `RUNBOOK.md#${alert.toLowerCase()}`

const alert = (name, severity, hold, expr, summary) => ({
  alert: name,
  expr,
  for: hold,
  labels: { severity },
  annotations: { summary, runbook_url: runbook(name) },
})

const records = ({ record, ratio }) => WINDOWS.map((window) => ({ record: `${record}${window}`, expr: ratio(window) }))

const burns = ({ name, record, objective, says }) =>
  BURNS.map(({ name: speed, factor, long, short, hold, severity, budget }) => {
    const limit = Number((factor * (1 - objective)).toPrecision(6))
    return alert(
      `Wsproxy${name}Burn${speed}`,
      severity,
      hold,
      `${record}${long} > ${limit} and ${record}${short} > ${limit}`,
      `{{ $value | humanizePercentage }} ${says}: this uses up ${budget} of the error budget`,
    )
  })

/**
 * Gap reasons that another alert or log line explains. All others count as unexplained, also a
 * reason that a later version adds.
 */
const EXPLAINED = 'redis_down|redis_moved|redis_output_limit|slow_client|drain'

const symptoms = [
  alert('WsproxyDown', 'page', '1m', 'up{job="wsproxy"} == 0', '{{ $labels.instance }} does not answer scrapes'),
  alert(
    'WsproxyAbsent',
    'page',
    '2m',
    'absent(up{job="wsproxy"})',
    'Prometheus knows no instance: all are gone, or none is scraped',
  ),
  alert(
    'WsproxyRestarts',
    'page',
    '0m',
    'changes(process_start_time_seconds{job="wsproxy"}[15m]) > 1',
    '{{ $labels.instance }} restarts again and again, and each crash cuts all its sockets',
  ),
  alert(
    'WsproxyWorkersMissing',
    'ticket',
    '2m',
    'wsproxy_workers_missing > 0',
    '{{ $value }} of the workers of {{ $labels.instance }} do not answer',
  ),
  alert(
    'WsproxyUnexplainedGap',
    'page',
    '0m',
    `sum by (reason) (increase(wsproxy_gaps_total{reason!~"${EXPLAINED}"}[10m])) > 0`,
    'messages may have been lost ({{ $labels.reason }}) without a known cause; the objective is zero',
  ),
  alert(
    'WsproxyGaps',
    'ticket',
    '0m',
    `sum by (reason) (increase(wsproxy_gaps_total{reason=~"redis_down|redis_moved|redis_output_limit"}[10m])) > 0`,
    'messages may have been lost, and sessions received a gap frame: {{ $labels.reason }}',
  ),
  alert(
    'WsproxyMessagesLost',
    'ticket',
    '5m',
    'sum by (reason) (rate(wsproxy_lost_messages_total{reason=~"slow_client|upstream_full|upstream_uncertain|drain"}[5m])) > 0.1',
    '{{ $value | humanize }} messages per second are lost: {{ $labels.reason }}',
  ),
  alert(
    'WsproxyNumbersLost',
    'ticket',
    '0m',
    'sum(increase(wsproxy_holes_total{result="lost"}[10m])) + sum(increase(wsproxy_resume_total{result=~"trimmed|expired|redis"}[10m])) > 10',
    'clients of wsproxy.v2 got gaps in the numbers of their messages',
  ),
  alert(
    'WsproxyOutboxFailing',
    'ticket',
    '5m',
    'sum by (instance) (rate(wsproxy_live_outbox_total{result="failed"}[5m])) > 0 unless on (instance) wsproxy_redis_up == 0',
    '{{ $labels.instance }} cannot publish envelopes of clients, although Redis is up',
  ),
  alert(
    'WsproxyRefreshReused',
    'ticket',
    '0m',
    'sum(increase(wsproxy_login_total{result="reused"}[15m])) > 0',
    '{{ $value }} logins ended because a used refresh token came again: it may be stolen',
  ),
  alert(
    'WsproxyRevokedFull',
    'ticket',
    '0m',
    'max(wsproxy_revoked_entries / (wsproxy_revoked_limit > 0)) > 0.9',
    '{{ $value | humanizePercentage }} of AUTH_REVOKED_MAX revocations are kept: at 100 % no token can be revoked',
  ),
  alert(
    'WsproxyRevokedUnread',
    'page',
    '1m',
    'wsproxy_revoked_age_seconds > 60 and on (instance) wsproxy_redis_up == 1',
    '{{ $labels.instance }} has not read for {{ $value | humanizeDuration }} what is revoked',
  ),
  alert(
    'WsproxyInternalErrors',
    'page',
    '0m',
    'sum by (instance) (increase(wsproxy_errors_total{type="internal"}[10m])) > 0',
    '{{ $labels.instance }} has a fault of its own: the log has the stack',
  ),
]

const redis = [
  alert(
    'WsproxyRedisDown',
    'page',
    '30s',
    'wsproxy_redis_up == 0',
    '{{ $labels.instance }} has no connection to Redis',
  ),
  alert(
    'WsproxyRedisUnsteady',
    'ticket',
    '0m',
    'sum by (instance, link) (increase(wsproxy_redis_reconnects_total[10m])) > 3',
    '{{ $labels.instance }} loses its {{ $labels.link }} connection to Redis again and again',
  ),
  alert(
    'WsproxyRedisDeaf',
    'page',
    '0m',
    'sum by (instance) (increase(wsproxy_redis_canaries_lost_total[10m])) > 1',
    'Redis answers the commands of {{ $labels.instance }} but delivers no messages to it',
  ),
  alert(
    'WsproxyRedisSlow',
    'ticket',
    '5m',
    'histogram_quantile(0.99, sum by (le) (rate(wsproxy_redis_canary_seconds_bucket[5m]))) > 0.1',
    'a message takes {{ $value | humanizeDuration }} through Redis and back',
  ),
  alert(
    'WsproxyKeyspaceEventsMissing',
    'ticket',
    '5m',
    'max(wsproxy_redis_keyspace_events_missing) == 1',
    'Redis publishes no keyspace events: runs are up to RUN_RESYNC_INTERVAL late',
  ),
  alert(
    'WsproxyUpstreamHeld',
    'page',
    '1m',
    'sum by (instance) (wsproxy_upstream_held_messages) > 0',
    '{{ $value }} client frames wait for Redis on {{ $labels.instance }}',
  ),
  alert(
    'WsproxyUpstreamUnheard',
    'ticket',
    '10m',
    'sum(rate(wsproxy_upstream_unheard_total[10m])) > 0.2 * sum(rate(wsproxy_messages_received_total{source="client"}[10m]))',
    'more than a fifth of the frames of clients reach no agent',
  ),
  alert(
    'WsproxyRunErrors',
    'ticket',
    '5m',
    'sum(rate(wsproxy_errors_total{type="run"}[5m])) > 0',
    'the hashes of runs cannot be read',
  ),
]

const saturation = [
  alert(
    'WsproxyEventLoopLate',
    'ticket',
    '5m',
    'wsproxy_event_loop_delay_seconds{quantile="0.99"} > 0.1',
    'the event loop of {{ $labels.instance }} is {{ $value | humanizeDuration }} late at p99',
  ),
  alert(
    'WsproxyNearCapacity',
    'ticket',
    '5m',
    'sum by (instance) (wsproxy_active_connections) > 16000',
    '{{ $labels.instance }} holds {{ $value }} sockets, 80 % of MAX_CONNECTIONS in k8s/base',
  ),
  alert(
    'WsproxyFileDescriptors',
    'page',
    '5m',
    'process_open_fds{job="wsproxy"} / process_max_fds{job="wsproxy"} > 0.8',
    '{{ $labels.instance }} has used {{ $value | humanizePercentage }} of its file descriptors',
  ),
  alert(
    'WsproxyMemory',
    'ticket',
    '10m',
    'process_resident_memory_bytes{job="wsproxy"} > 400e6',
    '{{ $labels.instance }} uses {{ $value | humanize1024 }}B; k8s/base limits it to 512 MiB',
  ),
  alert(
    'WsproxySlowClients',
    'ticket',
    '10m',
    'sum(rate(wsproxy_backpressure_events_total{stage="full"}[10m])) > 0.1',
    'clients are closed because they read more slowly than their agents publish',
  ),
  alert(
    'WsproxyConnectsLimited',
    'ticket',
    '5m',
    'sum(rate(wsproxy_rate_limited_total{what="connect"}[5m])) > 1',
    '{{ $value | humanize }} upgrades per second exceed CONNECT_RATE or CONNECT_RATE_PER_IP',
  ),
  alert(
    'WsproxyJwksAway',
    'page',
    '10m',
    'sum by (instance) (increase(wsproxy_jwks_fetches_total{result="failed"}[15m])) > 0 unless sum by (instance) (increase(wsproxy_jwks_fetches_total{result="ok"}[15m])) > 0',
    '{{ $labels.instance }} gets no keys from AUTH_JWKS_URL; the former ones count for AUTH_JWKS_STALE',
  ),
  alert(
    'WsproxyJwtsRejected',
    'page',
    '5m',
    'sum(rate(wsproxy_auth_total{method="jwt",result!="accepted"}[5m])) > sum(rate(wsproxy_auth_total{method="jwt",result="accepted"}[5m])) and sum(rate(wsproxy_auth_total{method="jwt"}[5m])) > 0.1',
    'more JWTs are refused than accepted',
  ),
  alert(
    'WsproxyTokensRejected',
    'ticket',
    '10m',
    'sum(rate(wsproxy_connections_total{result="token-rejected"}[10m])) > sum(rate(wsproxy_connections_total{result="accepted"}[10m]))',
    'more upgrades are refused for their token than are accepted',
  ),
]

/** Includes an alert only where the metric that it needs exists; `has` checks that. */
const preflight = [
  alert(
    'WsproxyPreflightFailing',
    'ticket',
    '5m',
    // Checks that answer for one launch fail in normal operation.
    'sum by (check) (rate(wsproxy_preflight_failures_total{check!~"cooldown|event-enabled|session-token|agent-connection"}[5m])) > 0',
    'the preflight check {{ $labels.check }} fails',
  ),
]

export const groups = (has) => [
  { name: 'wsproxy-objectives', interval: '30s', rules: objectives.flatMap(records) },
  { name: 'wsproxy-burn', rules: objectives.flatMap(burns) },
  { name: 'wsproxy-symptoms', rules: symptoms },
  { name: 'wsproxy-redis', rules: redis },
  { name: 'wsproxy-saturation', rules: saturation },
  ...(has('wsproxy_preflight_failures_total') ? [{ name: 'wsproxy-preflight', rules: preflight }] : []),
]
