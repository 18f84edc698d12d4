-- Requeues what up to five claims hold whose lease is over: changes, a removal or a task. Returns these claims.
local everything = ARGV[1] == '1' -- claims whose lease is not over, too

local latest = everything and '+inf' or now
local expired = redis.call('ZRANGE', 'la:leases', '-inf', latest, 'BYSCORE', 'LIMIT', 0, 5)
for _, claim in ipairs(expired) do
  release(claim, true)
end
if everything then redis.call('DEL', 'la:drains', 'la:workers') end
return expired
