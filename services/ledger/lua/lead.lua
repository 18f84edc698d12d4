-- Makes a worker the one that does upkeep, unless another one is. Returns 1 or 0.
local worker = ARGV[1]
local duration_ms = ARGV[2]

local leader = redis.call('GET', 'la:upkeep')
if leader and leader ~= worker then return 0 end
redis.call('SET', 'la:upkeep', worker, 'PX', duration_ms)
return 1
