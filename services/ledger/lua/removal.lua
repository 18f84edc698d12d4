-- A step of the removal that a claim is for. Returns 1, or 0 where its lease was over or the removal has ended.
-- go: it has been decided that the products go, and is not decided anew.
-- end: all are changes of the job, or they are not removed because of `why`.
local claim = ARGV[1]
local step = ARGV[2]
local why = ARGV[3]

local number = removal_of(claim)
if not number then return 0 end
if step == 'go' then
  redis.call('HSET', 'la:job:' .. number, 'go', '1')
  redis.call('HDEL', 'la:job:' .. number, 'rx')
else
  end_claim(claim)
  end_removal(number, why)
end
return 1
