import { createHash } from 'node:crypto'

/** Name of the library and of its one function. */
export const SAY_LIBRARY = 'wsproxy'
export const SAY_FUNCTION = 'wsproxy_say'

/** How long a log lives, and what it keeps, unless its agent says otherwise. */
export const SAY_LIMITS = ['3600', '10000', '16777216'] as const
const [SECONDS, ENTRIES, BYTES] = SAY_LIMITS

/** Lua that makes a new log: sets `epoch`. */
export const NEW_EPOCH_TEXT = `  -- The epoch of a log without its meta is unknown.
  redis.call('DEL', log, meta)
  local now = redis.call('TIME')
  local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  local digits, text = '0123456789abcdefghijklmnopqrstuvwxyz', ''
  for i = 1, 9 do
    local digit = ms % 36
    text = string.sub(digits, digit + 1, digit + 1) .. text
    ms = (ms - digit) / 36
  end
  epoch = text .. string.sub(redis.sha1hex(now[1] .. now[2] .. log), 1, 3)
  redis.call('HSET', meta, 'e', epoch)`

/** Lua that trims a log with `bytes` and `entries` to `maxbytes` and `maxlen`. */
export const TRIM_TEXT = `  -- A long log loses some more at once: Redis frees whole nodes, and most calls then trim nothing.
  local slack = maxlen > 100 and math.min(99, math.floor(maxlen / 10)) or 0
  local shortest = entries > maxlen and maxlen - slack or entries
  local fewest = bytes > maxbytes and maxbytes * 0.9 or bytes
  while entries > 1 and (entries > shortest or bytes > fewest) do
    -- Sizes differ, so what is trimmed is measured. A batch has about 256 KiB at most.
    local count = math.min(entries - 1, 100, math.floor(262144 * entries / math.max(bytes, 1)) + 1)
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', count)) do
      if entries <= shortest and bytes <= fewest then break end
      bytes = bytes - #entry[2][2]
      entries = entries - 1
    end
    redis.call('XTRIM', log, 'MAXLEN', entries)
    redis.call('HSET', meta, 'b', math.max(bytes, 0))
  end`

/**
 * Appends one message to the log of a session and publishes it, in one atomic step.
 *
 * KEYS: the log, its meta hash. ARGV: payload, seconds that the log lives (0: for ever; default 1
 * hour), entries and bytes that it keeps (default 10,000 and 16 MiB), flags. Flags are words with
 * commas between them: `snapshot` (the message replaces all before it), `close` (it is the last
 * one), `ephemeral` (it is published and not logged), `sharded` (SPUBLISH). Returns the offset of
 * the message; 0 for an ephemeral one.
 *
 * Fields of the meta hash: `e` epoch, `n` newest offset, `b` bytes of the messages in the log,
 * `snap` offset of the newest snapshot, `closed`.
 */
export const SAY_TEXT = `
local log, meta, payload = KEYS[1], KEYS[2], ARGV[1]
local ttl, maxlen, maxbytes = tonumber(ARGV[2] or ${SECONDS}), tonumber(ARGV[3] or ${ENTRIES}), tonumber(ARGV[4] or ${BYTES})
if not (payload and ttl and maxlen and maxbytes) then
  return redis.error_reply('ERR usage: <log> <meta> <payload> [seconds] [entries] [bytes] [flags]')
end
local flags = ',' .. (ARGV[5] or '') .. ','
local function flag(word) return string.find(flags, ',' .. word .. ',', 1, true) end
local channel = string.sub(log, 2, -6)
local publish = flag('sharded') and 'SPUBLISH' or 'PUBLISH'
if flag('ephemeral') then
  redis.call(publish, channel, payload)
  return 0
end
local epoch = redis.call('HGET', meta, 'e')
if not epoch then
${NEW_EPOCH_TEXT}
end
local n = redis.call('HINCRBY', meta, 'n', 1)
local added = redis.pcall('XADD', log, '0-' .. n, 'm', payload)
if type(added) == 'table' and added.err then
  -- A writer that counts itself has written to this log: go on behind its newest entry.
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not newest or string.sub(newest[1], 1, 2) ~= '0-' then return redis.error_reply(added.err) end
  n = tonumber(string.sub(newest[1], 3)) + 1
  redis.call('HSET', meta, 'n', n)
  redis.call('XADD', log, '0-' .. n, 'm', payload)
end
if flag('snapshot') then
  redis.call('XTRIM', log, 'MINID', '0-' .. n)
  redis.call('HSET', meta, 'snap', n, 'b', #payload)
else
  local bytes = redis.call('HINCRBY', meta, 'b', #payload)
  local entries = redis.call('XLEN', log)
${TRIM_TEXT}
end
if flag('close') then redis.call('HSET', meta, 'closed', n) end
if ttl > 0 then
  redis.call('EXPIRE', log, ttl)
  redis.call('EXPIRE', meta, ttl)
end
local mark = string.char(30)
redis.call(publish, channel, mark .. epoch .. '.' .. n .. (flag('close') and 'c' or '') .. mark .. payload)
return n`

/** The same as a library for FUNCTION LOAD: `FCALL wsproxy_say 2 <log> <meta> <payload> ...`. */
export const SAY_CODE = `#!lua name=${SAY_LIBRARY}
redis.register_function('${SAY_FUNCTION}', function(KEYS, ARGV)
${SAY_TEXT.trim()}
end)`

/** Hash by which EVALSHA calls the script. */
export const SAY_SHA = createHash('sha1').update(SAY_TEXT).digest('hex')
