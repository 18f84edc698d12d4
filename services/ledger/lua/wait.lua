-- Returns 1 where a job has finished or is not there; else 0, and `la:done` will get one entry for the caller.
local number = ARGV[1]

local found = redis.call('HMGET', 'la:job:' .. number, 'c', 's')
local catalog, final_state = found[1], found[2]
if not catalog or final_state then return 1 end
redis.call('HINCRBY', 'la:job:' .. number, 'w', 1)
return 0
