/** Generated from the folder of the built-in checks: npm run generate. */
import * as agentConnection from './checks/agent-connection.ts'
import * as bufferBudget from './checks/buffer-budget.ts'
import * as capacity from './checks/capacity.ts'
import * as clientAddress from './checks/client-address.ts'
import * as clockSkew from './checks/clock-skew.ts'
import * as cooldown from './checks/cooldown.ts'
import * as eventEnabled from './checks/event-enabled.ts'
import * as exposure from './checks/exposure.ts'
import * as httpDependencies from './checks/http-dependencies.ts'
import * as jwks from './checks/jwks.ts'
import * as jwtAudience from './checks/jwt-audience.ts'
import * as keyspaceEvents from './checks/keyspace-events.ts'
import * as nativeBinary from './checks/native-binary.ts'
import * as openFiles from './checks/open-files.ts'
import * as pubsubBuffer from './checks/pubsub-buffer.ts'
import * as redis from './checks/redis.ts'
import * as redisChannels from './checks/redis-channels.ts'
import * as redisCommands from './checks/redis-commands.ts'
import * as redisPubsub from './checks/redis-pubsub.ts'
import * as redisVersion from './checks/redis-version.ts'
import * as sessionLog from './checks/session-log.ts'
import * as sessionToken from './checks/session-token.ts'
import * as tokenStore from './checks/token-store.ts'
import * as weakSecrets from './checks/weak-secrets.ts'
import * as websocket from './checks/websocket.ts'

/** Each built-in check by the name of its file. */
export const builtInChecks: ReadonlyMap<string, object> = new Map<string, object>([
  ['agent-connection.js', agentConnection],
  ['buffer-budget.js', bufferBudget],
  ['capacity.js', capacity],
  ['client-address.js', clientAddress],
  ['clock-skew.js', clockSkew],
  ['cooldown.js', cooldown],
  ['event-enabled.js', eventEnabled],
  ['exposure.js', exposure],
  ['http-dependencies.js', httpDependencies],
  ['jwks.js', jwks],
  ['jwt-audience.js', jwtAudience],
  ['keyspace-events.js', keyspaceEvents],
  ['native-binary.js', nativeBinary],
  ['open-files.js', openFiles],
  ['pubsub-buffer.js', pubsubBuffer],
  ['redis.js', redis],
  ['redis-channels.js', redisChannels],
  ['redis-commands.js', redisCommands],
  ['redis-pubsub.js', redisPubsub],
  ['redis-version.js', redisVersion],
  ['session-log.js', sessionLog],
  ['session-token.js', sessionToken],
  ['token-store.js', tokenStore],
  ['weak-secrets.js', weakSecrets],
  ['websocket.js', websocket],
])
