import type { Connection } from '../connection/connection.ts'
import type { Door } from '../connection/door.ts'
import { type Close, closes, type Refusal, refusals } from '../contract/codes.ts'
import { withKeyPrefix } from '../contract/names.ts'
import { PathPattern } from '../http/path.ts'
import type { DoorStats } from '../telemetry/metrics.ts'
import type { DoorParts } from './doors.ts'

/** What a door of an embedding program needs of the gateway. */
export interface DoorTools {
  /** Every refusal of an upgrade, by its code. */
  readonly refusals: Readonly<Record<string, Refusal>>
  /** Every close of a socket, by its name. */
  readonly closes: Readonly<Record<string, Close>>
  /** The pattern of a path, for instance `/news/:topic`. The ids of `admit` are its parameters. */
  path(route: string): PathPattern
  /** The name of a Redis channel or key, with `REDIS_KEY_PREFIX`. */
  channel(name: string): string
  /** The counts of a door, which appear in the metrics under its name. */
  stats(door: string): DoorStats
  /**
   * Queues a frame for one socket. It leaves at the end of this turn of the event loop, and is not
   * copied: the bytes that `receive` gets are valid only during that call.
   */
  enqueue(connection: Connection, frame: Buffer): void
  /**
   * Publishes a client frame to a channel, behind the earlier ones. The gateway holds it while
   * Redis is away, and calls `refused` when it was not published, or may not have been. `frame` is
   * not copied: the bytes that `receive` gets are valid only during that call.
   */
  publish(connection: Connection, channel: string, frame: Buffer, refused: (code: string) => void): void
}

/** Makes the doors of an embedding program. Called once, before the gateway listens. */
export type OwnDoors = (tools: DoorTools) => readonly Door[]

/** @throws what `make` throws, and an Error for a name or a socket path that is taken. */
export function ownDoors({ core, metrics }: DoorParts, make: OwnDoors, taken: readonly Door[]): Door[] {
  const doors = make({
    refusals,
    closes,
    path: (route) => new PathPattern(route),
    channel: withKeyPrefix,
    stats: (name) => metrics.door(name),
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    publish: (connection, channel, frame, refused) =>
      core.redis.upstream.publisher(channel, refused).publish(frame, connection.trace),
  })
  const all = [...taken]
  for (const door of doors) {
    for (const other of all) {
      if (door.name === other.name) throw new Error(`two doors have the name ${JSON.stringify(door.name)}`)
      const route = door.path.routes.find((each) => other.path.routes.includes(each))
      if (route !== undefined) throw new Error(`the doors ${door.name} and ${other.name} have the path ${route}`)
    }
    all.push(door)
  }
  return all.slice(taken.length)
}
