-- Removes a catalog. ARGV: catalog ID, 1 or 0: first (0) nothing more is accepted for it, and its open jobs are given;
-- when they have been canceled (1), it is forgotten.
local catalog = ARGV[1]
if ARGV[2] == '0' then
  redis.call('SADD', 'la:dropping', catalog)
  redis.call('DEL', 'la:version:' .. catalog)
  return redis.call('SMEMBERS', 'la:open:' .. catalog)
end
redis.call('LREM', 'la:catalogs', 0, catalog)
local counts = redis.call('HGETALL', 'la:counts:' .. catalog)
for i = 1, #counts, 2 do redis.call('HINCRBY', 'la:counts:', counts[i], counts[i + 1]) end
redis.call('DEL', 'la:counts:' .. catalog, 'la:suspects:' .. catalog, 'la:paused:' .. catalog)
for _, lane in ipairs({ 'interactive', 'bulk' }) do
  redis.call('DEL', 'la:lane:' .. catalog .. ':' .. lane, 'la:ready:' .. catalog .. ':' .. lane)
end
redis.call('SREM', 'la:dropping', catalog)
