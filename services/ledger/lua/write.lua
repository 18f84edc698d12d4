-- Writes lines of a job that still receives; the last ones also commit it.
-- ARGV: job or 0 for a new one, catalog ID, its name, lane, request ID, seconds to keep, cap of a product's chain,
--       commit: total or -1, cap of waiting changes, key or "", key's seconds, count of refused, then
--       the refused (line note), then pairs of line and payload.
-- Gives {job}, {job, its hash} when committed, or {error, detail}.
local number, catalog = ARGV[1], ARGV[2]
local total, refused = tonumber(ARGV[8]), tonumber(ARGV[12])
if redis.call('ZSCORE', 'la:dropping', catalog) then return { 'removed', '', number } end
if number == '0' then
  if redis.call('EXISTS', 'la:version:' .. catalog) == 0 then return { 'unknown' } end
  local before = tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting') or 0)
  if before >= tonumber(ARGV[9]) then return { 'full', int(before), '0' } end
  number = int(redis.call('INCR', 'la:jobs'))
  redis.call('HSET', 'la:job:' .. number, 'c', catalog, 'cn', ARGV[3], 'l', ARGV[4], 't0', now, 'keep', ARGV[6])
  if ARGV[5] ~= '' then redis.call('HSET', 'la:job:' .. number, 'r', ARGV[5]) end
elseif tonumber(redis.call('ZSCORE', 'la:receiving', number) or 0) == 0 then
  return { 'gone' } -- was taken for dead and forgotten, or is being
end
redis.call('ZADD', 'la:receiving', now, number)

for i = 1, refused do
  redis.call('RPUSH', 'la:failed:' .. number, ARGV[12 + i] .. '\n')
  redis.call('HINCRBY', 'la:job:' .. number, 'f', 1)
end
local lowest
for i = 13 + refused, #ARGV, 2 do
  local line, item = ARGV[i], ARGV[i + 1]
  local product = digest(item)
  local stored = redis.call('HGET', 'la:chain:' .. catalog, product) or '|'
  if #stored > tonumber(ARGV[7]) then return { 'busy', line, number } end
  redis.call('HSET', 'la:items', number .. ':' .. line, item)
  redis.call('HSET', 'la:chain:' .. catalog, product, stored .. number .. ':' .. line .. ' ')
  local own = own_version(item)
  if own and (not lowest or own < lowest) then lowest = own end
end
if lowest then
  local low = tonumber(redis.call('HGET', 'la:job:' .. number, 'low') or lowest)
  redis.call('HSET', 'la:job:' .. number, 'low', int(math.min(low, lowest)))
end
local changes = redis.call('HINCRBY', 'la:job:' .. number, 'got', (#ARGV - 12 - refused) / 2)
if total < 0 then return { number } end

local failures = tonumber(redis.call('HGET', 'la:job:' .. number, 'f') or 0)
if redis.call('EXISTS', 'la:version:' .. catalog) == 0 then return { 'removed', '', number } end
local waiting = tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting') or 0)
if waiting + changes > tonumber(ARGV[9]) then return { 'full', int(waiting), number } end

local base = redis.call('INCRBY', 'la:version:' .. catalog, total) - total
redis.call('HSET', 'la:job:' .. number, 'b', int(base), 'n', total, 'cur', 0)
redis.call('HDEL', 'la:job:' .. number, 'got')
redis.call('ZREM', 'la:receiving', number)
redis.call('SADD', 'la:open:' .. catalog, number)
redis.call('HINCRBY', 'la:counts:' .. catalog, 'waiting', changes)
if failures > 0 then redis.call('HINCRBY', 'la:counts:' .. catalog, 'failed', failures) end
redis.call('RPUSH', 'la:lane:' .. catalog .. ':' .. ARGV[4], number)
if not redis.call('LPOS', 'la:catalogs', catalog) then redis.call('RPUSH', 'la:catalogs', catalog) end
if ARGV[10] ~= '' then
  local begun = redis.call('GET', 'la:key:' .. ARGV[10])
  if begun then
    local body = string.match(begun, '^(%S+)')
    redis.call('SET', 'la:key:' .. ARGV[10], body .. ' ' .. number, 'EX', ARGV[11])
  end
end
finish_if_done(number)
return { number, redis.call('HGETALL', 'la:job:' .. number) }
