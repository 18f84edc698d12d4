-- How many more drains could use what waits. ARGV: changes a batch, limit of the answer where no worker is known.
local waiting = 0
for _, catalog in ipairs(redis.call('LRANGE', 'la:catalogs', 0, -1)) do
  if redis.call('EXISTS', 'la:paused:' .. catalog) == 0 then
    waiting = waiting + (tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting')) or 0)
  end
end
local slots, alive = 0, {}
for _, worker in ipairs(redis.call('ZRANGE', 'la:workers', now, '+inf', 'BYSCORE')) do
  local id, count = string.match(worker, '^(.*) (%d+)$')
  slots, alive[id] = slots + tonumber(count), true
end
if not next(alive) then slots = tonumber(ARGV[2]) end
redis.call('ZREMRANGEBYSCORE', 'la:drains', '-inf', now)
-- A worker that was killed is known to be dead long before the lease of what it had in hand is over.
local busy = 0
for _, drain in ipairs(redis.call('ZRANGE', 'la:drains', 0, -1)) do
  if alive[string.match(drain, '^(.*)/')] then busy = busy + 1 end
end
return math.max(0, math.min(math.ceil(waiting / tonumber(ARGV[1])), slots - busy))
