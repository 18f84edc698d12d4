-- Begins a lease anew. Returns 1, or 0 where it was over and the changes are others', or its task has been canceled.
local claim = ARGV[1]
local lease_ms = ARGV[2]

if not redis.call('ZSCORE', 'la:leases', claim) then return 0 end
if redis.call('HEXISTS', 'la:claim:' .. claim, 'task') == 1 and not task_of(claim) then return 0 end
redis.call('ZADD', 'la:leases', now + lease_ms, claim)
return 1
