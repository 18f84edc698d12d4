-- Begins the versions of a catalog that the ledger does not know.
-- Returns 1, or 0 where the catalog is being removed or has been: the caller looked at its index before that.
local catalog = ARGV[1]
local index_version = ARGV[2]      -- the highest version in its index
local restored = ARGV[3] == '1'    -- then known versions go on above `index_version`, and an earlier removal is void

if redis.call('ZSCORE', 'la:dropping', catalog) then return 0 end
local key = 'la:version:' .. catalog
if restored then
  -- First the command that a full Redis refuses: after one write it would accept all others of the script.
  redis.call('SET', key, int(math.max(tonumber(redis.call('GET', key) or 0), tonumber(index_version))))
  redis.call('ZREM', 'la:removed', catalog)
elseif redis.call('ZSCORE', 'la:removed', catalog) then
  return 0
end
redis.call('SET', key, index_version, 'NX')
-- The first thing that is written into a Redis that has lost everything since this process looked.
redis.call('SET', 'la:format', FORMAT, 'NX')
return 1
