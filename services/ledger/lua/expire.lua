-- Takes claims from workers that fell silent. ARGV: 1 for all claims, 0 for those whose lease is over.
-- Gives how many claims, {claim, ...}.
local latest = ARGV[1] == '1' and '+inf' or now
local expired = redis.call('ZRANGE', 'la:leases', '-inf', latest, 'BYSCORE', 'LIMIT', 0, 5)
for _, claim in ipairs(expired) do
  for _, ref in ipairs(refs_of(claim)) do let_go(ref, true) end
  end_claim(claim)
end
if ARGV[1] == '1' then redis.call('DEL', 'la:drains', 'la:workers') end
return expired
