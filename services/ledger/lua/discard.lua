-- Forgets lines of a job that was never committed; without lines, the job. ARGV: job, lines.
local number = ARGV[1]
local found = redis.call('HMGET', 'la:job:' .. number, 'c', 'b')
if found[2] then return end
redis.call('ZADD', 'la:receiving', 0, number)
for i = 2, #ARGV do
  local ref = number .. ':' .. ARGV[i]
  local item = payload(ref)
  if item then
    local held, refs = read_chain(found[1], digest(item))
    write_chain(found[1], digest(item), held, without(refs, ref))
    redis.call('HDEL', 'la:items', ref)
  end
end
if #ARGV == 1 then
  redis.call('DEL', 'la:job:' .. number, 'la:failed:' .. number)
  redis.call('ZREM', 'la:receiving', number)
end
