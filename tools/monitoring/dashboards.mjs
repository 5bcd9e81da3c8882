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
      count('Instances up', 'How many instances answer scrapes?', [['sum(up{job=~"$job"})', 'up']]),
      count('Redis', 'Which instances have a connection to Redis?', [[`wsproxy_redis_up${ON}`, '{{instance}}']]),
      share('Upgrades that fail through our fault', 'Which share? The objective is less than 0.1 % over 30 days', [
        ['wsproxy:handshake_faults:ratio_rate5m', '5 m'],
        ['wsproxy:handshake_faults:ratio_rate6h', '6 h'],
      ]),
      share('Messages later than 50 ms', 'Which share? The objective is less than 1 % over 30 days', [
        ['wsproxy:delivery_late:ratio_rate5m', '5 m'],
        ['wsproxy:delivery_late:ratio_rate6h', '6 h'],
      ]),
    ],
    'What does it do?': [
      count('Open sockets', 'How many sockets are open at each door?', [
        [`sum by (door) (wsproxy_active_connections${ON})`, '{{door}}'],
      ]),
      perSecond('Upgrades', 'How do upgrades end?', [[rate('wsproxy_connections_total', 'result'), '{{result}}']]),
      perSecond('Closes', 'With which codes are sockets closed?', [
        [rate('wsproxy_disconnections_total', 'code'), '{{code}}'],
      ]),
      perSecond('Messages', 'How many messages come in and go out?', [
        [rate('wsproxy_messages_received_total', 'source'), 'from {{source}}'],
        [rate('wsproxy_messages_sent_total'), 'to clients'],
      ]),
    ],
    'What went wrong?': [
      perSecond('Lost messages', 'Why did messages not reach their receiver?', [
        [rate('wsproxy_lost_messages_total', 'reason'), '{{reason}}'],
      ]),
      count(
        'Gaps',
        'How often may messages have been lost that cannot be counted? The objective is no unexplained gap',
        [[`sum by (reason) (increase(wsproxy_gaps_total${ON}[$__rate_interval]))`, '{{reason}}']],
      ),
      perSecond('Errors', 'Which kinds of errors happen?', [[rate('wsproxy_errors_total', 'type'), '{{type}}']]),
    ],
  },
}

const doors = {
  title: 'wsproxy: doors',
  rows: {
    'In and out': [
      count('Open sockets', 'How many sockets are open at each door and instance?', [
        [`wsproxy_active_connections${ON}`, '{{door}} {{instance}}'],
      ]),
      perSecond('Upgrades accepted', 'How many at each door?', [
        [rate('wsproxy_connections_total', 'door', 'result="accepted"'), '{{door}}'],
      ]),
      perSecond('Upgrades refused', 'How many at each door, and why?', [
        [rate('wsproxy_connections_total', 'door, result', 'result!="accepted"'), '{{door}}: {{result}}'],
      ]),
      perSecond('Closes', 'How many at each door, and with which code?', [
        [rate('wsproxy_disconnections_total', 'door, code'), '{{door}}: {{code}}'],
      ]),
    ],
    Messages: [
      perSecond('Frames to clients', 'How many frames go out at each door?', [
        [rate('wsproxy_messages_sent_total', 'door'), '{{door}}'],
      ]),
      {
        ...bytes('Bytes to clients', 'How many payload bytes go out at each door?', [
          [rate('wsproxy_bytes_sent_total', 'door'), '{{door}}'],
        ]),
        unit: 'Bps',
      },
      seconds(
        'In the gateway',
        'How long from the arrival of a message to its hand-over to the socket?',
        quantiles('wsproxy_message_latency_seconds'),
      ),
      seconds('Handshake', 'How long from the request to the 101?', quantiles('wsproxy_handshake_seconds')),
    ],
    'From clients': [
      perSecond('Client frames', 'How many frames do clients send?', [
        [rate('wsproxy_messages_received_total', '', 'source="client"'), 'frames'],
      ]),
      perSecond('Unheard', 'How many client frames are published while no agent is subscribed?', [
        [rate('wsproxy_upstream_unheard_total'), 'unheard'],
      ]),
      perSecond('Over a rate limit', 'How many upgrades and client frames?', [
        [rate('wsproxy_rate_limited_total', 'what'), '{{what}}'],
      ]),
    ],
    'Numbered sessions': [
      perSecond('Resumes', 'What do clients get that come with a cursor?', [
        [rate('wsproxy_resume_total', 'result'), '{{result}}'],
      ]),
      perSecond('From logs', 'How many messages come from logs?', [
        [rate('wsproxy_replayed_messages_total'), 'replayed'],
      ]),
      perSecond('Holes', 'How often did a channel miss numbers, and did the log have them?', [
        [rate('wsproxy_holes_total', 'result'), '{{result}}'],
      ]),
      perSecond('Appends over HTTP', 'What came of requests to append to streams?', [
        [rate('wsproxy_stream_appends_total', 'result'), '{{result}}'],
      ]),
      perSecond('Lagging and unnumbered', 'How many sockets go on from the log, how many messages have no number?', [
        [rate('wsproxy_lagging_total'), 'lagging'],
        [rate('wsproxy_unnumbered_messages_total'), 'unnumbered'],
      ]),
      count('Lagging streams', 'How many streams of server-sent events wait for their client to read?', [
        [`sum (wsproxy_sse_lagging${ON})`, 'lagging'],
      ]),
    ],
    Credentials: [
      perSecond('Upgrades by credential', 'What do clients bring, and is it accepted?', [
        [rate('wsproxy_auth_total', 'method, result'), '{{method}} {{result}}'],
      ]),
      perSecond('JWTs that end', 'How many sockets renew theirs, and how many are closed?', [
        [rate('wsproxy_auth_renewed_total', 'result'), 'renewed: {{result}}'],
        [rate('wsproxy_auth_expired_total', 'reason'), 'closed: {{reason}}'],
      ]),
      perSecond('Fetches of keys', 'Does AUTH_JWKS_URL answer?', [
        [rate('wsproxy_jwks_fetches_total', 'result'), '{{result}}'],
      ]),
      {
        title: 'Age of the keys',
        asks: 'How long ago did AUTH_JWKS_URL answer each instance?',
        unit: 's',
        queries: [[`wsproxy_jwks_age_seconds${ON}`, '{{instance}}']],
      },
    ],
    'Tickets and revocations': [
      perSecond('Tickets sent', 'How many resume tickets do clients get?', [
        [rate('wsproxy_tickets_issued_total'), 'sent'],
      ]),
      perSecond('Tickets that come back', 'How many are accepted, and why are the others refused?', [
        [rate('wsproxy_tickets_judged_total', 'result'), '{{result}}'],
      ]),
      count('Revoked', 'How many sessions, sids, jtis and subs does each instance refuse, and how many may it?', [
        [`wsproxy_revoked_entries${ON}`, '{{instance}}'],
        [`max(wsproxy_revoked_limit${ON})`, 'AUTH_REVOKED_MAX'],
      ]),
      {
        title: 'Age of the revocations',
        asks: 'How long ago did each instance read what is revoked?',
        unit: 's',
        queries: [[`wsproxy_revoked_age_seconds${ON}`, '{{instance}}']],
      },
    ],
    'Refused and cut': [
      perSecond('Upgrades refused by a limit', 'Which setting refuses how many?', [
        [rate('wsproxy_limit_refusals_total', 'limit'), '{{limit}}'],
      ]),
      perSecond('Admin tokens', 'How many requests bring a right or a wrong admin token?', [
        [rate('wsproxy_admin_calls_total', 'result'), '{{result}}'],
      ]),
      perSecond('Logins', 'How do logins and refreshes of users end?', [
        [rate('wsproxy_login_total', 'result'), '{{result}}'],
      ]),
      perSecond('Denied by roles', 'How many calls and topics were not for the role of a user?', [
        [rate('wsproxy_role_denials_total', 'type'), '{{type}}'],
      ]),
      perSecond('Closed by operators', 'How many sockets, and what did the operator name?', [
        [rate('wsproxy_operator_closes_total', 'by'), '{{by}}'],
      ]),
      perSecond('PROXY headers', 'What do connections begin with, with TRUST_PROXY=proxy-protocol?', [
        [rate('wsproxy_proxy_headers_total', 'result'), '{{result}}'],
      ]),
      perSecond('Closed for the budget', 'How many sockets are closed because all hold more than MAX_BUFFERED_BYTES?', [
        [rate('wsproxy_buffer_budget_closes_total'), 'closed'],
      ]),
    ],
  },
}

const redis = {
  title: 'wsproxy: Redis',
  rows: {
    'Is it there?': [
      count('Redis', 'Which instances have a connection?', [[`wsproxy_redis_up${ON}`, '{{instance}}']]),
      count('Reconnects', 'Which connections had to be made again?', [
        [`sum by (link) (increase(wsproxy_redis_reconnects_total${ON}[$__rate_interval]))`, '{{link}}'],
      ]),
      seconds(
        'Canary',
        'How long does a message take through Redis and back?',
        quantiles('wsproxy_redis_canary_seconds'),
      ),
      count('Canaries lost', 'To which instances does Redis deliver nothing, although it answers commands?', [
        [`sum by (instance) (increase(wsproxy_redis_canaries_lost_total${ON}[$__rate_interval]))`, '{{instance}}'],
      ]),
    ],
    'What does the gateway use it for?': [
      count('Channels', 'To how many channels is each instance subscribed?', [
        [`wsproxy_redis_pubsub_channels_active${ON}`, '{{instance}}'],
      ]),
      perSecond('Messages from Redis', 'How many does each instance receive?', [
        [rate('wsproxy_messages_received_total', 'instance', 'source="redis"'), '{{instance}}'],
      ]),
      count('Client frames held', 'How many client frames wait until Redis is back?', [
        [`wsproxy_upstream_held_messages${ON}`, '{{instance}}'],
      ]),
      count('Keyspace events missing', 'Does Redis lack keyspace events? At 1, runs are shown late', [
        [`max(wsproxy_redis_keyspace_events_missing${ON})`, 'missing'],
      ]),
    ],
    'What did it cost?': [
      count('Gaps', 'Why may messages have been lost that cannot be counted?', [
        [`sum by (reason) (increase(wsproxy_gaps_total${ON}[$__rate_interval]))`, '{{reason}}'],
      ]),
      perSecond('Errors', 'How often did Redis fail, and how often reading a run?', [
        [rate('wsproxy_errors_total', 'type', 'type=~"redis|run"'), '{{type}}'],
      ]),
      perSecond('Client frames lost', 'Why were client frames not published?', [
        [rate('wsproxy_lost_messages_total', 'reason', 'reason=~"upstream_full|upstream_uncertain"'), '{{reason}}'],
      ]),
    ],
  },
}

const saturation = {
  title: 'wsproxy: saturation',
  rows: {
    'The process': [
      share(
        'CPU',
        'How much CPU does each instance use? One event loop cannot use more than 1 core; with WORKERS there are several',
        [[rate('process_cpu_seconds_total', 'instance'), '{{instance}}']],
      ),
      seconds('Event loop', 'How late are timers?', [
        [`wsproxy_event_loop_delay_seconds${on('quantile=~"0.5|0.99|0.999"')}`, '{{instance}} {{quantile}}'],
      ]),
      count('Workers', 'How many processes has each instance, and do all answer (WORKERS)?', [
        [`wsproxy_workers${ON}`, '{{instance}}'],
        [`wsproxy_workers_missing${ON}`, '{{instance}} missing'],
        [`increase(wsproxy_worker_restarts_total${ON}[$__rate_interval])`, '{{instance}} started again'],
      ]),
      perSecond('Lines and spans lost', 'Does something take the log and the traces?', [
        [rate('wsproxy_log_lines_dropped_total', 'instance'), '{{instance}} log lines'],
        [rate('wsproxy_trace_spans_lost_total', 'instance'), '{{instance}} spans'],
      ]),
      bytes('Memory', 'How much resident memory does each instance use?', [
        [`process_resident_memory_bytes${ON}`, '{{instance}}'],
      ]),
      bytes('Heap', 'How much of the JavaScript heap is in use?', [
        [`nodejs_heap_size_used_bytes${ON}`, '{{instance}}'],
      ]),
    ],
    Limits: [
      count('Sockets', 'How close is each instance to MAX_CONNECTIONS?', [
        [`sum by (instance) (wsproxy_active_connections${ON})`, '{{instance}}'],
      ]),
      share('File descriptors', 'Which share of its limit does each instance use?', [
        [`process_open_fds${ON} / process_max_fds${ON}`, '{{instance}}'],
      ]),
      seconds('Garbage collection', 'How many seconds of each second does it take?', [
        [rate('nodejs_gc_duration_seconds_sum', 'instance'), '{{instance}}'],
      ]),
    ],
    'Slow clients': [
      count('Sockets with more than 1 MiB unsent', 'How many clients are far behind at this moment?', [
        [
          `sum(wsproxy_buffer_utilization_bytes_count${ON}) - sum(wsproxy_buffer_utilization_bytes_bucket${on('le="1048576"')})`,
          'sockets',
        ],
      ]),
      bytes('Unsent', 'How many bytes are in all send buffers together?', [
        [`sum by (instance) (wsproxy_buffer_utilization_bytes_sum${ON})`, '{{instance}}'],
      ]),
      perSecond('Slow clients', 'How many passed 80 % of their buffer (warning), and how many were closed (full)?', [
        [rate('wsproxy_backpressure_events_total', 'stage'), '{{stage}}'],
      ]),
    ],
  },
}

const preflight = {
  title: 'wsproxy: preflight',
  rows: {
    Runs: [
      perSecond('Runs', 'How do preflight runs end?', [
        [rate('wsproxy_preflight_runs_total', 'mode, result'), '{{mode}}: {{result}}'],
      ]),
      perSecond('By event', 'What was about to be launched?', [
        [rate('wsproxy_preflight_runs_total', 'event_type'), '{{event_type}}'],
      ]),
    ],
    Checks: [
      perSecond('Not recorded', 'How many reports could not be stored?', [
        [rate('wsproxy_preflight_unrecorded_total'), 'reports'],
      ]),
      perSecond('Failures', 'Which checks fail?', [[rate('wsproxy_preflight_failures_total', 'check'), '{{check}}']]),
      seconds('Duration', 'How long does each check take, at p99?', [
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
      perSecond('Opened and closed', 'How many live sockets?', [
        [rate('wsproxy_live_connections_total'), 'opened'],
        [rate('wsproxy_live_disconnections_total'), 'closed'],
      ]),
      perSecond('Refused', 'Why were live clients refused?', [
        [rate('wsproxy_live_auth_denied_total'), 'credentials'],
        [rate('wsproxy_live_origin_denied_total'), 'origin'],
      ]),
      perSecond('Closed by the gateway', 'Why were live sockets closed?', [
        [rate('wsproxy_live_backpressure_disconnects_total'), 'too slow'],
        [rate('wsproxy_live_idle_disconnects_total'), 'idle'],
      ]),
      count('Subscriptions', 'How many sockets hold each topic?', [
        [`sum by (subscription) (wsproxy_live_subscriptions${ON})`, '{{subscription}}'],
      ]),
      count('Last messages', 'How many topics of open sockets have a last message?', [
        [`wsproxy_live_retained_topics${ON}`, '{{instance}}'],
      ]),
    ],
    Frames: [
      perSecond('Frames', 'How many frames go in and out?', [
        [rate('wsproxy_live_messages_sent_total'), 'to clients'],
        [rate('wsproxy_live_messages_received_total'), 'from clients'],
      ]),
      {
        ...bytes('Bytes', 'How many payload bytes go in and out?', [
          [rate('wsproxy_live_bytes_sent_total'), 'to clients'],
          [rate('wsproxy_live_bytes_received_total'), 'from clients'],
        ]),
        unit: 'Bps',
      },
      count('Last broadcast', 'How many sockets did it reach?', [
        [`wsproxy_live_last_broadcast_fanout${ON}`, '{{instance}}'],
      ]),
      share('Compression', 'Which share of the size of a message is left? Only with LIVE_COMPRESSION', [
        [
          `${rate('wsproxy_live_message_compressed_bytes_total')} / ${rate('wsproxy_live_message_plain_bytes_total')}`,
          'of its size',
        ],
      ]),
    ],
    'What went wrong?': [
      perSecond('Not delivered', 'How many frames had no room in a full buffer?', [
        [rate('wsproxy_live_messages_send_failures_total'), 'frames'],
      ]),
      perSecond('Not usable', 'How many messages of agents were not a JSON object?', [
        [rate('wsproxy_live_messages_unusable_total'), 'messages'],
      ]),
      perSecond('Client frames refused', 'How many frames of clients were not accepted?', [
        [rate('wsproxy_live_messages_dropped_rate_limit_total'), 'over the rate'],
        [rate('wsproxy_live_errors_sent_total'), 'answered with an error'],
      ]),
      perSecond('Envelopes', 'How do envelopes of clients end? Only with OUTBOX_TOPICS', [
        [rate('wsproxy_live_outbox_total', 'result'), '{{result}}'],
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
