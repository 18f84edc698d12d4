-- Removes a catalog, in steps:
-- begin: nothing more is accepted for it. Returns its open jobs, for the caller to cancel.
-- undo: it was not removed after all: it accepts changes again, and its versions go on.
-- end: it is forgotten, but for a mark that keeps a late request from introducing it again.
local catalog = ARGV[1]
local step = ARGV[2]

if step == 'begin' then
  redis.call('ZADD', 'la:dropping', now, catalog)
  return redis.call('SMEMBERS', 'la:open:' .. catalog)
end
redis.call('ZREM', 'la:dropping', catalog)
if step == 'undo' then return end
redis.call('ZREMRANGEBYSCORE', 'la:removed', '-inf', now - 300000)
redis.call('ZADD', 'la:removed', now, catalog)
redis.call('LREM', 'la:catalogs', 0, catalog)
redis.call('HDEL', 'la:turns', catalog)
local counts = redis.call('HGETALL', 'la:counts:' .. catalog)
for i = 1, #counts, 2 do redis.call('HINCRBY', 'la:counts:', counts[i], counts[i + 1]) end
for _, kind in ipairs({ 'version', 'counts', 'suspects', 'paused', 'waits', 'failing', 'removals', 'tasks' }) do
  redis.call('DEL', 'la:' .. kind .. ':' .. catalog)
end
for _, lane in ipairs({ 'interactive', 'bulk' }) do
  redis.call('DEL', 'la:lane:' .. catalog .. ':' .. lane, 'la:ready:' .. catalog .. ':' .. lane)
end
