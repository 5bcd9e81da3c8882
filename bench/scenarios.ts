/** What can be measured, in the order in which it is. A new scenario is one entry more. */
import type { Scenario } from './scenario.ts'
import { fanout } from './scenarios/fanout.ts'
import { handshake } from './scenarios/handshake.ts'
import { http } from './scenarios/http.ts'
import { idle } from './scenarios/idle.ts'
import { liveFanout, liveFlood, liveMixed } from './scenarios/live.ts'
import { reconnectStorm } from './scenarios/reconnect-storm.ts'
import { runsCrowd, runsMany } from './scenarios/runs.ts'
import { slowReaders } from './scenarios/slow-readers.ts'
import { start } from './scenarios/start.ts'
import { streamPaced, streamSaturated } from './scenarios/stream.ts'
import { unicastPaced, unicastSaturated } from './scenarios/unicast.ts'
import { upstream } from './scenarios/upstream.ts'

export const SCENARIOS: Scenario[] = [
  handshake,
  unicastSaturated,
  unicastPaced,
  streamSaturated,
  streamPaced,
  fanout,
  upstream,
  idle,
  start,
  runsMany,
  runsCrowd,
  slowReaders,
  reconnectStorm,
  http,
  liveFanout,
  liveMixed,
  liveFlood,
]
