-- Appends deletions to the job whose removal a claim is for. Returns 1, or 0 where its lease was over or the removal has
-- ended. A worker that was interrupted goes on when all that it had appended have ended, so nothing is appended twice.
local claim = ARGV[1]
local first_item = 2 -- in ARGV

local number = removal_of(claim)
if not number then return 0 end
local found = redis.call('HMGET', 'la:job:' .. number, 'c', 'n', 'l')
local catalog, total, lane = found[1], tonumber(found[2]), found[3]
-- The line after the changes so far, which is the removal itself: it moves on.
local line = total - 1
redis.call('HSETNX', 'la:job:' .. number, 'rl', int(line))
for i = first_item, #ARGV do
  local item, ref = ARGV[i], number .. ':' .. int(line)
  redis.call('HSET', 'la:items', ref, item)
  local held, refs = read_chain(catalog, digest(item))
  write_chain(catalog, digest(item), held, refs .. ref .. ' ')
  redis.call('RPUSH', 'la:ready:' .. catalog .. ':' .. lane, ref)
  line = line + 1
end
redis.call('HSET', 'la:job:' .. number, 'n', int(line + 1))
redis.call('HDEL', 'la:job:' .. number, 'rx')
redis.call('HINCRBY', 'la:counts:' .. catalog, 'waiting', #ARGV - first_item + 1)
return 1
