-- Requeues the changes of up to five claims whose lease is over, and removals. Returns these claims.
local everything = ARGV[1] == '1' -- claims whose lease is not over, too

local latest = everything and '+inf' or now
local expired = redis.call('ZRANGE', 'la:leases', '-inf', latest, 'BYSCORE', 'LIMIT', 0, 5)
for _, claim in ipairs(expired) do
  for _, ref in ipairs(refs_of(claim)) do release_change(ref, true) end
  local number = removal_of(claim)
  end_claim(claim)
  if number then removal_crashed(number) end
end
if everything then redis.call('DEL', 'la:drains', 'la:workers') end
return expired
