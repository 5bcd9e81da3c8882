/**
 * The dashboards: rows of panels, each with a title, the question that it answers, a unit, and
 * queries with their legends.
 */

const ON = '{job=~"$job",instance=~"$instance"}'
/** The selector of the chosen instances, with further labels. */
const on = (more) => `{job=~"$job",instance=~"$instance",${more}}`
const rate = (metric, by, more) =>
  `sum${by ? ` by (${by})` : ''} (rate(${metric}${more ? on(more) : ON}[$__rate_interval]))`
const quantile = (q, metric) => `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket${ON}[$__rate_interval])))`
const quantiles = (metric) => [0.5, 0.99, 0.999].map((q) => [quantile(q, metric), `p${q * 100}`])
const count = (title, asks, queries) => ({ title, asks, unit: 'short', queries })
const perSecond = (title, asks, queries) => ({ title, asks, unit: 'ops', queries })
const seconds = (title, asks, queries) => ({ title, asks, unit: 's', queries })
const bytes = (title, asks, queries) => ({ title, asks, unit: 'bytes', queries })
const share = (title, asks, queries) => ({ title, asks, unit: 'percentunit', queries })

const overview = {
  title: 'wsproxy: overview',
  rows: {
    'Is it well?': [
      count('Instances up', 'how many answer?', [['sum(up{job=~"$job"})', 'up']]),
      count('Redis', 'which instances have their Redis?', [[`wsproxy_redis_up${ON}`, '{{instance}}']]),
      share('Handshakes refused through our fault', 'objective: 0.1 % over 30 days', [
        ['wsproxy:handshake_faults:ratio_rate5m', '5 m'],
        ['wsproxy:handshake_faults:ratio_rate6h', '6 h'],
      ]),
      share('Messages later than 50 ms', 'objective: 1 % over 30 days', [
        ['wsproxy:delivery_late:ratio_rate5m', '5 m'],
        ['wsproxy:delivery_late:ratio_rate6h', '6 h'],
      ]),
    ],
    'What does it do?': [
      count('Open sockets', 'how many, at which door?', [
        [`sum by (door) (wsproxy_active_connections${ON})`, '{{door}}'],
      ]),
      perSecond('Upgrades', 'how do they end?', [[rate('wsproxy_connections_total', 'result'), '{{result}}']]),
      perSecond('Closes', 'with which codes?', [[rate('wsproxy_disconnections_total', 'code'), '{{code}}']]),
      perSecond('Messages', 'how much goes in and out?', [
        [rate('wsproxy_messages_received_total', 'source'), 'from {{source}}'],
        [rate('wsproxy_messages_sent_total'), 'to clients'],
      ]),
    ],
    'What went wrong?': [
      perSecond('Lost messages', 'why did they not reach whom they were for?', [
        [rate('wsproxy_lost_messages_total', 'reason'), '{{reason}}'],
      ]),
      count('Gaps', 'how often may messages have been lost uncounted? Objective: none that is unexplained', [
        [`sum by (reason) (increase(wsproxy_gaps_total${ON}[$__rate_interval]))`, '{{reason}}'],
      ]),
      perSecond('Errors', 'of which kind?', [[rate('wsproxy_errors_total', 'type'), '{{type}}']]),
    ],
  },
}

const doors = {
  title: 'wsproxy: doors',
  rows: {
    'In and out': [
      count('Open sockets', 'at which door and instance?', [
        [`wsproxy_active_connections${ON}`, '{{door}} {{instance}}'],
      ]),
      perSecond('Upgrades accepted', 'at which door?', [
        [rate('wsproxy_connections_total', 'door', 'result="accepted"'), '{{door}}'],
      ]),
      perSecond('Upgrades refused', 'where, and why?', [
        [rate('wsproxy_connections_total', 'door, result', 'result!="accepted"'), '{{door}}: {{result}}'],
      ]),
      perSecond('Closes', 'where, and with which code?', [
        [rate('wsproxy_disconnections_total', 'door, code'), '{{door}}: {{code}}'],
      ]),
    ],
    Messages: [
      perSecond('Frames to clients', 'through which door?', [
        [rate('wsproxy_messages_sent_total', 'door'), '{{door}}'],
      ]),
      {
        ...bytes('Bytes to clients', 'through which door?', [[rate('wsproxy_bytes_sent_total', 'door'), '{{door}}']]),
        unit: 'Bps',
      },
      seconds(
        'In the gateway',
        'from the arrival of a message to its hand-over?',
        quantiles('wsproxy_message_latency_seconds'),
      ),
      seconds('Handshake', 'from the request to the 101?', quantiles('wsproxy_handshake_seconds')),
    ],
    'From clients': [
      perSecond('Client frames', 'how many?', [
        [rate('wsproxy_messages_received_total', '', 'source="client"'), 'frames'],
      ]),
      perSecond('Unheard', 'published with no agent listening?', [[rate('wsproxy_upstream_unheard_total'), 'unheard']]),
      perSecond('Over a rate', 'upgrades and frames?', [[rate('wsproxy_rate_limited_total', 'what'), '{{what}}']]),
    ],
  },
}

const redis = {
  title: 'wsproxy: Redis',
  rows: {
    'Is it there?': [
      count('Redis', 'which instances have it?', [[`wsproxy_redis_up${ON}`, '{{instance}}']]),
      count('Reconnects', 'which connections were made again?', [
        [`sum by (link) (increase(wsproxy_redis_reconnects_total${ON}[$__rate_interval]))`, '{{link}}'],
      ]),
      seconds(
        'Canary',
        'how long does a message of ours take through it and back?',
        quantiles('wsproxy_redis_canary_seconds'),
      ),
      count('Canaries lost', 'answers it, but delivers nothing?', [
        [`sum by (instance) (increase(wsproxy_redis_canaries_lost_total${ON}[$__rate_interval]))`, '{{instance}}'],
      ]),
    ],
    'What do we ask of it?': [
      count('Channels', 'how many are subscribed?', [[`wsproxy_redis_pubsub_channels_active${ON}`, '{{instance}}']]),
      perSecond('Messages from it', 'how many?', [
        [rate('wsproxy_messages_received_total', 'instance', 'source="redis"'), '{{instance}}'],
      ]),
      count('Held for it', 'how many client frames wait for it to come back?', [
        [`wsproxy_upstream_held_messages${ON}`, '{{instance}}'],
      ]),
      count('Keyspace events missing', '1: runs are seen late', [
        [`max(wsproxy_redis_keyspace_events_missing${ON})`, 'missing'],
      ]),
    ],
    'What did it cost?': [
      count('Gaps', 'by reason', [
        [`sum by (reason) (increase(wsproxy_gaps_total${ON}[$__rate_interval]))`, '{{reason}}'],
      ]),
      perSecond('Errors', 'of Redis, and in reading runs', [
        [rate('wsproxy_errors_total', 'type', 'type=~"redis|run"'), '{{type}}'],
      ]),
      perSecond('Lost on the way up', 'by reason', [
        [rate('wsproxy_lost_messages_total', 'reason', 'reason=~"upstream_full|upstream_uncertain"'), '{{reason}}'],
      ]),
    ],
  },
}

const saturation = {
  title: 'wsproxy: saturation',
  rows: {
    'The process': [
      share('CPU', '1 is a whole core, and one event loop has no more', [
        [rate('process_cpu_seconds_total', 'instance'), '{{instance}}'],
      ]),
      seconds('Event loop', 'how late is it?', [
        [`wsproxy_event_loop_delay_seconds${on('quantile=~"0.5|0.99|0.999"')}`, '{{instance}} {{quantile}}'],
      ]),
      bytes('Memory', 'resident', [[`process_resident_memory_bytes${ON}`, '{{instance}}']]),
      bytes('Heap', 'used of V8', [[`nodejs_heap_size_used_bytes${ON}`, '{{instance}}']]),
    ],
    Limits: [
      count('Sockets', 'of MAX_CONNECTIONS', [[`sum by (instance) (wsproxy_active_connections${ON})`, '{{instance}}']]),
      share('File descriptors', 'used', [[`process_open_fds${ON} / process_max_fds${ON}`, '{{instance}}']]),
      seconds('Garbage collection', 'seconds a second', [
        [rate('nodejs_gc_duration_seconds_sum', 'instance'), '{{instance}}'],
      ]),
    ],
    'Slow clients': [
      count('Sockets with more than 1 MiB unsent', 'at this moment', [
        [
          `sum(wsproxy_buffer_utilization_bytes_count${ON}) - sum(wsproxy_buffer_utilization_bytes_bucket${on('le="1048576"')})`,
          'sockets',
        ],
      ]),
      bytes('Unsent', 'in all send buffers together', [
        [`sum by (instance) (wsproxy_buffer_utilization_bytes_sum${ON})`, '{{instance}}'],
      ]),
      perSecond('Too slow', 'warned, and closed', [[rate('wsproxy_backpressure_events_total', 'stage'), '{{stage}}']]),
    ],
  },
}

const preflight = {
  title: 'wsproxy: preflight',
  rows: {
    Runs: [
      perSecond('Runs', 'how do they end?', [
        [rate('wsproxy_preflight_runs_total', 'mode, result'), '{{mode}}: {{result}}'],
      ]),
      perSecond('By event', 'what was about to be launched?', [
        [rate('wsproxy_preflight_runs_total', 'event_type'), '{{event_type}}'],
      ]),
    ],
    Checks: [
      perSecond('Not recorded', 'reports that nobody will find', [
        [rate('wsproxy_preflight_unrecorded_total'), 'reports'],
      ]),
      perSecond('Failures', 'of which check?', [[rate('wsproxy_preflight_failures_total', 'check'), '{{check}}']]),
      seconds('Duration', 'p99 by check', [
        [
          `histogram_quantile(0.99, sum by (le, check) (rate(wsproxy_preflight_check_duration_seconds_bucket${ON}[$__rate_interval])))`,
          '{{check}}',
        ],
      ]),
    ],
  },
}

const live = {
  title: 'wsproxy: live door',
  rows: {
    Sockets: [
      perSecond('Opened and closed', 'how many?', [
        [rate('wsproxy_live_connections_total'), 'opened'],
        [rate('wsproxy_live_disconnections_total'), 'closed'],
      ]),
      perSecond('Not let in', 'for what?', [
        [rate('wsproxy_live_auth_denied_total'), 'credentials'],
        [rate('wsproxy_live_origin_denied_total'), 'origin'],
      ]),
      perSecond('Closed by us', 'for what?', [
        [rate('wsproxy_live_backpressure_disconnects_total'), 'too slow'],
        [rate('wsproxy_live_idle_disconnects_total'), 'idle'],
      ]),
      count('Subscriptions', 'which topics are held, and how often?', [
        [`sum by (subscription) (wsproxy_live_subscriptions${ON})`, '{{subscription}}'],
      ]),
    ],
    Frames: [
      perSecond('Frames', 'in and out?', [
        [rate('wsproxy_live_messages_sent_total'), 'to clients'],
        [rate('wsproxy_live_messages_received_total'), 'from clients'],
      ]),
      {
        ...bytes('Bytes', 'in and out?', [
          [rate('wsproxy_live_bytes_sent_total'), 'to clients'],
          [rate('wsproxy_live_bytes_received_total'), 'from clients'],
        ]),
        unit: 'Bps',
      },
      count('Last broadcast', 'how many sockets did it reach?', [
        [`wsproxy_live_last_broadcast_fanout${ON}`, '{{instance}}'],
      ]),
      share('Compression', 'what is left of a message? Only with LIVE_COMPRESSION', [
        [
          `${rate('wsproxy_live_message_compressed_bytes_total')} / ${rate('wsproxy_live_message_plain_bytes_total')}`,
          'of its size',
        ],
      ]),
    ],
    'What went wrong?': [
      perSecond('Not delivered', 'to clients with a full buffer', [
        [rate('wsproxy_live_messages_send_failures_total'), 'frames'],
      ]),
      perSecond('Not usable', 'messages of agents that are no frame', [
        [rate('wsproxy_live_messages_unusable_total'), 'messages'],
      ]),
      perSecond('Refused', 'of what clients send', [
        [rate('wsproxy_live_messages_dropped_rate_limit_total'), 'over the rate'],
        [rate('wsproxy_live_errors_sent_total'), 'answered with an error'],
      ]),
    ],
  },
}

/** The dashboards by file name; each is included only where the metric that it needs exists. */
export const dashboards = (has) => ({
  overview,
  doors,
  redis,
  saturation,
  ...(has('wsproxy_live_messages_sent_total') && { live }),
  ...(has('wsproxy_preflight_runs_total') && { preflight }),
})
