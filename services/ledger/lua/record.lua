-- How changes of a claim ended. ARGV: claim, then triples of ref, state and note. Gives 1, or 0 where the claim is no
-- longer the worker's, whose changes are then another's.
local claim = ARGV[1]
if not redis.call('ZSCORE', 'la:leases', claim) then return 0 end
for i = 2, #ARGV, 3 do
  if redis.call('HDEL', 'la:claim:' .. claim, ARGV[i]) == 1 then settle(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
end
if ended > 0 then
  local second = 'la:ended:' .. clock[1]
  redis.call('INCRBY', second, ended)
  redis.call('EXPIRE', second, 120)
end
if redis.call('HLEN', 'la:claim:' .. claim) == 1 then end_claim(claim) end
return 1
