-- Begins the versions of a catalog that the ledger does not know. ARGV: catalog ID, the highest version in its index.
-- Gives 1, or 0 where the catalog is being removed or has been: whoever asks looked at its index before.
if redis.call('ZSCORE', 'la:dropping', ARGV[1]) or redis.call('ZSCORE', 'la:removed', ARGV[1]) then return 0 end
redis.call('SET', 'la:version:' .. ARGV[1], ARGV[2], 'NX')
return 1
