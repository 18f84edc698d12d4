-- Records how changes of a claim ended, and how many images of each job that took. Returns 1, or 0 where its lease was over and the changes are others'.
local claim = ARGV[1]
local others_wait = ARGV[2] == '1' -- those are of changes that need nothing of what the others wait for
local first_outcome = 3 -- in ARGV, four each: ref, state, note, and 1 where it had an image

if not redis.call('ZSCORE', 'la:leases', claim) then return 0 end
for i = first_outcome, #ARGV, 4 do
  local ref, state, note, image = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if redis.call('HDEL', 'la:claim:' .. claim, ref) == 1 then
    if image == '1' then redis.call('HINCRBY', 'la:job:' .. parts(ref), 'im', 1) end
    settle(ref, state, note)
  end
end
if not others_wait then redis.call('DEL', 'la:waits:' .. redis.call('HGET', 'la:claim:' .. claim, 'c')) end
if ended > 0 then
  local second = 'la:ended:' .. clock[1]
  redis.call('INCRBY', second, ended)
  redis.call('EXPIRE', second, 120)
end
if redis.call('HLEN', 'la:claim:' .. claim) == 1 then end_claim(claim) end
return 1
