-- Lets others have the rest of a claim. ARGV: claim, milliseconds that its catalog pauses,
-- whether (1 or 0) the worker failed over them, which counts as a crash.
local claim = ARGV[1]
if not redis.call('ZSCORE', 'la:leases', claim) then return 0 end
local catalog = redis.call('HGET', 'la:claim:' .. claim, 'c')
for _, ref in ipairs(refs_of(claim)) do let_go(ref, ARGV[3] == '1') end
end_claim(claim)
if tonumber(ARGV[2]) > 0 then redis.call('SET', 'la:paused:' .. catalog, '1', 'PX', ARGV[2]) end
return 1
