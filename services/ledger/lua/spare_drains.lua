-- Returns how many more drains could start now: enough for what waits, but no more than there are free slots.
local batch_size = tonumber(ARGV[1])
local most_without_workers = tonumber(ARGV[2]) -- the slots that count where no worker is known to be alive

local waiting = 0
for _, catalog in ipairs(redis.call('LRANGE', 'la:catalogs', 0, -1)) do
  if redis.call('EXISTS', 'la:paused:' .. catalog) == 0 then
    waiting = waiting + (tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting')) or 0)
    if due_removal(catalog) then waiting = waiting + batch_size end
    if due_task(catalog) then waiting = waiting + batch_size end
  end
end
local slots, alive = 0, {}
for _, worker in ipairs(redis.call('ZRANGE', 'la:workers', now, '+inf', 'BYSCORE')) do
  local id, count = string.match(worker, '^(.*) (%d+)$')
  slots, alive[id] = slots + tonumber(count), true
end
if not next(alive) then slots = most_without_workers end
redis.call('ZREMRANGEBYSCORE', 'la:drains', '-inf', now)
-- A worker that was killed counts as dead long before the leases of its claims are over.
local busy = 0
for _, drain in ipairs(redis.call('ZRANGE', 'la:drains', 0, -1)) do
  if alive[string.match(drain, '^(.*)/')] then busy = busy + 1 end
end
return math.max(0, math.min(math.ceil(waiting / batch_size), slots - busy))
