-- Forgets lines of a job that was never committed; called without lines, the job itself.
local number = ARGV[1]
local first_line = 2 -- in ARGV

local found = redis.call('HMGET', 'la:job:' .. number, 'c', 'b')
local catalog, base = found[1], found[2]
if base then return end -- it was committed
redis.call('ZADD', 'la:receiving', 0, number)
for i = first_line, #ARGV do
  local ref = number .. ':' .. ARGV[i]
  local item = payload(ref)
  if item then
    local held, refs = read_chain(catalog, digest(item))
    write_chain(catalog, digest(item), held, without(refs, ref))
    redis.call('HDEL', 'la:items', ref)
  end
end
if #ARGV < first_line then
  redis.call('DEL', 'la:job:' .. number, 'la:failed:' .. number, 'la:names:' .. number)
  redis.call('ZREM', 'la:receiving', number)
end
