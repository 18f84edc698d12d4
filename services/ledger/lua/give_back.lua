-- Requeues what has not ended of a claim.
-- Returns 1, or 0 where its lease was over and the changes are others'.
local claim = ARGV[1]
local pause_ms = tonumber(ARGV[2]) -- during which nobody gets changes of its catalog, or its task
local crashed = ARGV[3] == '1'     -- the worker failed unexpectedly, which counts as a crash
local code, message = ARGV[4], ARGV[5] -- what it waits for, as an error; '' where that is not known

if not redis.call('ZSCORE', 'la:leases', claim) then return 0 end
local catalog = redis.call('HGET', 'la:claim:' .. claim, 'c')
local is_task = redis.call('HEXISTS', 'la:claim:' .. claim, 'task') == 1
local task = release(claim, crashed)
if is_task then
  -- Changes do not wait for what a task waits for.
  if task and redis.call('HEXISTS', 'la:job:' .. task, 'due') == 1 then
    redis.call('HSET', 'la:job:' .. task, 'due', int(now + pause_ms))
    if code ~= '' then say_waits('la:waits:' .. catalog .. ':' .. task, code, message, pause_ms) end
  end
elseif pause_ms > 0 then
  redis.call('SET', 'la:paused:' .. catalog, '1', 'PX', int(pause_ms))
  if code ~= '' then say_waits('la:waits:' .. catalog, code, message, pause_ms) end
end
return 1
