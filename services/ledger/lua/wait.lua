-- Whether a job has finished; where not, the caller will be told by la:done. ARGV: job.
local found = redis.call('HMGET', 'la:job:' .. ARGV[1], 'c', 's')
if not found[1] or found[2] then return 1 end
redis.call('HINCRBY', 'la:job:' .. ARGV[1], 'w', 1)
return 0
