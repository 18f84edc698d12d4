-- Reserves an idempotency key for a request.
-- Returns {'new'}, {'other'} (it belongs to another request), {'in_flight'} or {'job', its number}.
local idempotency_key = ARGV[1]
local request_digest = ARGV[2]
local reserved_seconds = ARGV[3]

local key = 'la:key:' .. idempotency_key
local begun = redis.call('GET', key)
if not begun then
  redis.call('SET', key, request_digest, 'EX', reserved_seconds)
  return { 'new' }
end
local first_digest, number = string.match(begun, '^(%S+) ?(%d*)$')
if first_digest ~= request_digest then return { 'other' } end
if number == '' then return { 'in_flight' } end
return { 'job', number }
