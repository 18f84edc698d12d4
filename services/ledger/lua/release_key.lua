-- Frees an idempotency key under which nothing was accepted. ARGV: key.
local begun = redis.call('GET', 'la:key:' .. ARGV[1])
if begun and not string.find(begun, ' ', 1, true) then redis.call('DEL', 'la:key:' .. ARGV[1]) end
