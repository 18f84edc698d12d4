-- Begins the versions of a catalog that the ledger does not know. ARGV: catalog ID, the highest version in its index,
-- 1 for one that is restored: then what is known of it goes on above that version, and that it was removed is over.
-- Gives 1, or 0 where the catalog is being removed or has been: whoever asks looked at its index before.
if redis.call('ZSCORE', 'la:dropping', ARGV[1]) then return 0 end
local key = 'la:version:' .. ARGV[1]
if ARGV[3] == '1' then
  -- First what a full Redis refuses: after a write it would let all of a script pass.
  redis.call('SET', key, int(math.max(tonumber(redis.call('GET', key) or 0), tonumber(ARGV[2]))))
  redis.call('ZREM', 'la:removed', ARGV[1])
elseif redis.call('ZSCORE', 'la:removed', ARGV[1]) then
  return 0
end
redis.call('SET', key, ARGV[2], 'NX')
-- The first thing that is written into a Redis that has lost everything since this process looked.
redis.call('SET', 'la:format', FORMAT, 'NX')
return 1
