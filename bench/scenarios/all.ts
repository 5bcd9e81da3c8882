/** All scenarios, in the order in which they run. */
import type { Scenario } from '../scenario.ts'
import { credentials } from './credentials.ts'
import { expiry } from './expiry.ts'
import { fanout } from './fanout.ts'
import { handshake } from './handshake.ts'
import { hostileFlood, hostileJson, hostileJsonUnlimited } from './hostile.ts'
import { http } from './http.ts'
import { idle } from './idle.ts'
import { lagging } from './lagging.ts'
import { liveFanout, liveFlood, liveMixed } from './live.ts'
import { logins } from './logins.ts'
import { outage } from './outage.ts'
import { reconnectStorm } from './reconnect-storm.ts'
import { resume } from './resume.ts'
import { runsCrowd, runsMany } from './runs.ts'
import { slowReaders, slowReadersRoomy } from './slow-readers.ts'
import { slowStreams } from './slow-streams.ts'
import { start } from './start.ts'
import { streamPaced, streamSaturated } from './stream.ts'
import { unicastPaced, unicastSaturated, unicastSmooth } from './unicast.ts'
import { upstream, upstreamBurst } from './upstream.ts'

export const SCENARIOS: Scenario[] = [
  handshake,
  credentials,
  unicastSaturated,
  unicastSmooth,
  unicastPaced,
  streamSaturated,
  streamPaced,
  fanout,
  upstream,
  upstreamBurst,
  idle,
  start,
  runsMany,
  runsCrowd,
  slowReaders,
  slowReadersRoomy,
  slowStreams,
  outage,
  reconnectStorm,
  resume,
  lagging,
  http,
  liveFanout,
  liveMixed,
  liveFlood,
  hostileFlood,
  hostileJson,
  hostileJsonUnlimited,
  expiry,
  logins,
]
