-- Makes a worker the one that does upkeep, where nobody else is. ARGV: worker, milliseconds. Gives 1 or 0.
local leader = redis.call('GET', 'la:upkeep')
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', 'la:upkeep', ARGV[1], 'PX', ARGV[2])
return 1
