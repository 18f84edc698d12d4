-- Begins a lease anew. ARGV: claim, lease (ms). Gives 1, or 0 where it was over and others have the changes.
if not redis.call('ZSCORE', 'la:leases', ARGV[1]) then return 0 end
redis.call('ZADD', 'la:leases', now + ARGV[2], ARGV[1])
return 1
