import { NEW_EPOCH_TEXT, SAY_LIMITS, TRIM_TEXT } from './session-say.ts'

/**
 * Writes the log of a session as a stream of the Durable Streams protocol. All of one request is
 * one atomic step: no other writer comes between its checks and its messages.
 *
 * KEYS: the log, its meta hash. ARGV: `create` or `append`; content type in small letters ('' for
 * none); `1` to close the stream; seconds that the stream lives after each use, the ms since the
 * epoch at which it ends ('' for neither); `Stream-Seq`; id, epoch and sequence number of the
 * producer ('' for none); `sharded` for SPUBLISH; then the messages.
 *
 * Returns a word, the epoch of the log, its newest offset, 1 when it is closed, and two details of
 * the word. `created`, `same`, `differs` (another type, life or closing) answer `create`. Of
 * `append`: `ok`, `duplicate` (epoch and newest number of the producer), `missing`, `closed`,
 * `type`, `sequence` (the newest `Stream-Seq`), `stale` (the epoch of the producer), `first` (a new
 * epoch begins with 0), `gap` (the number that is next), `crowded` (too many producers).
 *
 * Fields of the meta hash beside those of the script for agents: `ct` content type, `ttl` and `exp`
 * as they were given, `seq` the newest `Stream-Seq`, `p:<id>` epoch and number of a producer, `by`
 * the producer that has closed the stream. A close without a message publishes the end of the log,
 * 0x1E <epoch>.<offset>e 0x1E: nothing in it is for clients.
 */
export const STREAM_TEXT = `
local log, meta = KEYS[1], KEYS[2]
local verb, kind, closes = ARGV[1], ARGV[2], ARGV[3] == '1'
local ttl, expires, seq = ARGV[4], ARGV[5], ARGV[6]
local producer, fence, number = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local publish = ARGV[10] == 'sharded' and 'SPUBLISH' or 'PUBLISH'
local FIRST = 11
local channel, mark = string.sub(log, 2, -6), string.char(30)
local kept = redis.call('HMGET', meta, 'e', 'n', 'ct', 'closed', 'ttl', 'exp', 'seq', 'by')
local epoch = kept[1]
local n, closed = 0, false
if epoch then
  n = tonumber(kept[2] or '0')
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if newest and string.sub(newest[1], 1, 2) == '0-' then n = math.max(n, tonumber(string.sub(newest[1], 3))) end
  closed = kept[4] and tonumber(kept[4]) == n
end
local function answer(word, a, b)
  return {word, epoch or '', n, closed and 1 or 0, a or '', b or ''}
end
local function digits(x) return string.format('%.0f', x) end
local function live()
  if expires ~= '' then
    redis.call('PEXPIREAT', log, expires)
    redis.call('PEXPIREAT', meta, expires)
  else
    local seconds = ttl ~= '' and ttl or ${SAY_LIMITS[0]}
    redis.call('EXPIRE', log, seconds)
    redis.call('EXPIRE', meta, seconds)
  end
end
local function write()
  local maxlen, maxbytes, bytes = ${SAY_LIMITS[1]}, ${SAY_LIMITS[2]}, 0
  for i = FIRST, #ARGV do
    n = n + 1
    bytes = bytes + #ARGV[i]
    redis.call('XADD', log, '0-' .. n, 'm', ARGV[i])
  end
  redis.call('HSET', meta, 'n', n)
  if bytes > 0 then
    bytes = redis.call('HINCRBY', meta, 'b', bytes)
    local entries = redis.call('XLEN', log)
${TRIM_TEXT}
  end
  if closes then redis.call('HSET', meta, 'closed', n) end
  closed = closes
  live()
  local count = #ARGV - FIRST + 1
  for i = FIRST, #ARGV do
    local last = closes and i == #ARGV and 'c' or ''
    redis.call(publish, channel, mark .. epoch .. '.' .. (n - #ARGV + i) .. last .. mark .. ARGV[i])
  end
  if closes and count == 0 then redis.call(publish, channel, mark .. epoch .. '.' .. n .. 'e' .. mark) end
end
if verb == 'create' then
  if epoch then
    local same = (kept[3] or 'application/json') == kind and (kept[5] or '') == ttl and (kept[6] or '') == expires
    return answer(same and closed == closes and 'same' or 'differs')
  end
${NEW_EPOCH_TEXT}
  redis.call('HSET', meta, 'ct', kind)
  if ttl ~= '' then redis.call('HSET', meta, 'ttl', ttl) end
  if expires ~= '' then redis.call('HSET', meta, 'exp', expires) end
  write()
  return answer('created')
end
if not epoch then return answer('missing') end
ttl, expires = kept[5] or '', kept[6] or ''
local isEmpty = #ARGV < FIRST
local field = 'p:' .. producer
local seen = producer ~= '' and redis.call('HGET', meta, field)
local seenFence, seenNumber
if seen then
  local dot = string.find(seen, '.', 1, true)
  seenFence, seenNumber = tonumber(string.sub(seen, 1, dot - 1)), tonumber(string.sub(seen, dot + 1))
end
if seen and fence < seenFence then return answer('stale', digits(seenFence)) end
local tuple = producer .. '.' .. ARGV[8] .. '.' .. ARGV[9]
if closed then
  if producer ~= '' and kept[8] == tuple then return answer('duplicate', digits(seenFence), digits(seenNumber)) end
  if not (isEmpty and closes and producer == '') then return answer('closed') end
  live()
  return answer('ok')
end
if not isEmpty and kind ~= (kept[3] or 'application/json') then return answer('type') end
if producer ~= '' then
  if seen and fence == seenFence then
    if number <= seenNumber then return answer('duplicate', digits(seenFence), digits(seenNumber)) end
    if number > seenNumber + 1 then return answer('gap', digits(seenNumber + 1)) end
  elseif number ~= 0 then
    if seen then return answer('first') end
    return answer('gap', '0')
  end
  if not seen and redis.call('HLEN', meta) > 1000 then return answer('crowded') end
end
-- Lua compares texts by the locale of the server.
local function isAfter(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end
if seq ~= '' and kept[7] and not isAfter(seq, kept[7]) then return answer('sequence', kept[7]) end
if seq ~= '' then redis.call('HSET', meta, 'seq', seq) end
if producer ~= '' then
  redis.call('HSET', meta, field, ARGV[8] .. '.' .. ARGV[9])
  if closes then redis.call('HSET', meta, 'by', tuple) end
end
write()
return answer('ok', ARGV[8], ARGV[9])`
