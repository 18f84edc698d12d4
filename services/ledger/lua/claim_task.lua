-- Hands the task that was accepted first of those that can be done now to a worker.
-- Returns {claim, catalog, job, kind, parameters, checkpoint or '', request ID or '', the most that it had done or ''}, or
-- {} where there is none.
local lease_ms = tonumber(ARGV[1])

local number, catalog
for _, each in ipairs(redis.call('LRANGE', 'la:catalogs', 0, -1)) do
  local due = due_task(each)
  if due and (not number or tonumber(due) < tonumber(number)) then number, catalog = due, each end
end
if not number then return {} end
local key = 'la:job:' .. number
local claim = int(redis.call('INCR', 'la:claims'))
redis.call('ZADD', 'la:leases', now + lease_ms, claim)
redis.call('HSET', 'la:claim:' .. claim, 'c', catalog, 'task', number)
redis.call('HSETNX', key, 't1', now)
redis.call('HSET', key, 'tc', claim)
local found = redis.call('HMGET', key, 'tk', 'par', 'ck', 'r', 'tm')
local answer = { claim, catalog, number }
for i = 1, 5 do answer[#answer + 1] = found[i] or '' end
return answer
