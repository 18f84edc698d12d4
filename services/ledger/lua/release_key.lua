-- Frees an idempotency key under which nothing was accepted.
local idempotency_key = ARGV[1]

local key = 'la:key:' .. idempotency_key
local begun = redis.call('GET', key)
if begun and not string.find(begun, ' ', 1, true) then redis.call('DEL', key) end
