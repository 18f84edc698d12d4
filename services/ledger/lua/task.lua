-- A step of the task that a claim is for. Returns 1, or 0 where its lease was over or the task has ended.
-- progress: how far it is, and from where another worker would go on.
-- end: it is done, with this result; or it has failed, with this code and message.
local claim = ARGV[1]
local step = ARGV[2]

local number = task_of(claim)
if not number then return 0 end
local key = 'la:job:' .. number
if step == 'progress' then
  local done, total, checkpoint = ARGV[3], ARGV[4], ARGV[5]
  redis.call('HSET', key, 'td', done)
  if total ~= '' then redis.call('HSET', key, 'tt', total) end
  if checkpoint ~= '' then redis.call('HSET', key, 'ck', checkpoint) end
  -- A start that says where it goes on from is no step forward.
  if tonumber(done) > tonumber(redis.call('HGET', key, 'tm') or -1) then
    redis.call('HSET', key, 'tm', done)
    redis.call('HDEL', key, 'tx')
    redis.call('DEL', 'la:waits:' .. redis.call('HGET', key, 'c') .. ':' .. number)
  end
else
  local result, code, message = ARGV[3], ARGV[4], ARGV[5]
  end_claim(claim)
  end_task(number, result, code, message)
end
return 1
