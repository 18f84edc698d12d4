-- Reserves an idempotency key. ARGV: key, digest of the request, seconds the reservation lasts.
-- Gives {'new'}, {'other'}, {'in_flight'} or {'job', N}.
local begun = redis.call('GET', 'la:key:' .. ARGV[1])
if not begun then
  redis.call('SET', 'la:key:' .. ARGV[1], ARGV[2], 'EX', ARGV[3])
  return { 'new' }
end
local body, number = string.match(begun, '^(%S+) ?(%d*)$')
if body ~= ARGV[2] then return { 'other' } end
if number == '' then return { 'in_flight' } end
return { 'job', number }
