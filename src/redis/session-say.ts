/**
 * Appends one message to the log of a session and publishes it, in one atomic step.
 *
 * KEYS: the log, its meta hash. ARGV: payload, seconds that the log lives (0: for ever), entries
 * and bytes that it keeps, flags. Flags are words with commas between them: `snapshot` (the message
 * replaces all before it), `close` (it is the last one), `ephemeral` (it is published and not
 * logged), `sharded` (SPUBLISH). Returns the offset of the message; 0 for an ephemeral one.
 *
 * Fields of the meta hash: `e` epoch, `n` newest offset, `b` about how many bytes the log holds,
 * `snap` offset of the newest snapshot, `closed`.
 */
export const SAY_TEXT = `
local log, meta, payload = KEYS[1], KEYS[2], ARGV[1]
local ttl, maxlen, maxbytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
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
  -- The epoch of a log without its meta is unknown.
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
  redis.call('HSET', meta, 'e', epoch)
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
  local keep = math.min(entries, maxlen)
  if bytes > maxbytes then keep = math.min(keep, math.max(1, math.floor(entries * maxbytes * 0.9 / bytes))) end
  if keep < entries then
    -- Trimmed by a tenth at once: Redis frees whole nodes, and most calls then trim nothing.
    if keep > 100 and bytes <= maxbytes then keep = math.floor(keep * 0.9) end
    redis.call('XTRIM', log, 'MAXLEN', keep)
    redis.call('HSET', meta, 'b', math.floor(bytes * keep / entries))
  end
end
if flag('close') then redis.call('HSET', meta, 'closed', n) end
if ttl > 0 then
  redis.call('EXPIRE', log, ttl)
  redis.call('EXPIRE', meta, ttl)
end
local mark = string.char(30)
redis.call(publish, channel, mark .. epoch .. '.' .. n .. (flag('close') and 'c' or '') .. mark .. payload)
return n`
