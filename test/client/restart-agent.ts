import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { SAY_TEXT } from '../../src/redis/session-say.ts'

/**
 * An agent of many sessions, in a process of its own: `node restart-agent.js <url> <sessions>
 * <messages a second> <seconds>`. Message k goes to session k modulo their number. It prints how
 * long it took, in ms.
 */
const [url = '', sessions = 1, rate = 1, seconds = 1] = process.argv.slice(2).map((each, i) => (i === 0 ? each : +each))
const TICK_MS = 10
const MAX_WAITING = 20_000

const redis = createClient({ url: String(url), commandOptions: { timeout: 60_000 } })
await redis.connect()
const sha = await redis.scriptLoad(SAY_TEXT)
const total = Number(rate) * Number(seconds)
const beganAt = Date.now()
let waiting = 0
for (let said = 0; said < total; ) {
  const due = Math.min(((Date.now() - beganAt) / 1000) * Number(rate), total)
  for (; said < due && waiting < MAX_WAITING; said++) {
    const id = `many-${said % Number(sessions)}`
    const payload = JSON.stringify({ n: Math.floor(said / Number(sessions)) + 1 })
    waiting++
    const limits = ['3600', '10000', String(16 * 1024 * 1024), '']
    void redis
      .sendCommand(['EVALSHA', sha, '2', sessionLog(id), sessionMeta(id), payload, ...limits])
      .then(() => waiting--)
  }
  await sleep(TICK_MS)
}
while (waiting > 0) await sleep(TICK_MS)
process.stdout.write(String(Date.now() - beganAt))
await redis.close()
