-- Accepts a task. Where one of this kind has not ended in the catalog, that one is meant, or it is in the way.
-- Returns {job, its hash, is_new}, or {error, job}.
local catalog = ARGV[1]
local catalog_name = ARGV[2]
local kind = ARGV[3]
local parameters = ARGV[4]             -- JSON, with sorted keys
local request_id = ARGV[5]             -- or ''
local keep_seconds = ARGV[6]           -- once it has ended
local idempotency_key = ARGV[7]        -- or ''
local key_seconds = ARGV[8]
local TASKS = 100                      -- that may wait in a catalog

if redis.call('ZSCORE', 'la:dropping', catalog) then return { 'removed' } end
local version = redis.call('GET', 'la:version:' .. catalog)
if not version then return { 'unknown' } end
local waiting = redis.call('LRANGE', 'la:tasks:' .. catalog, 0, -1)
local number
for _, each in ipairs(waiting) do
  if redis.call('HGET', 'la:job:' .. each, 'tk') == kind then number = each end
end
if number and redis.call('HGET', 'la:job:' .. number, 'par') ~= parameters then return { 'other', number } end
if not number and #waiting >= TASKS then return { 'tasks' } end
local is_new = number and 0 or 1
if not number then
  number = int(redis.call('INCR', 'la:jobs'))
  redis.call('HSET', 'la:job:' .. number, 'c', catalog, 'cn', catalog_name, 'l', 'bulk', 't0', now, 'keep', keep_seconds,
    'b', version, 'n', 1, 'cur', 0, 'tk', kind, 'par', parameters, 'due', now)
  if request_id ~= '' then redis.call('HSET', 'la:job:' .. number, 'r', request_id) end
  redis.call('SADD', 'la:open:' .. catalog, number)
  redis.call('RPUSH', 'la:tasks:' .. catalog, number)
  if not redis.call('LPOS', 'la:catalogs', catalog) then redis.call('RPUSH', 'la:catalogs', catalog) end
end
bind_key(idempotency_key, number, key_seconds)
return { number, redis.call('HGETALL', 'la:job:' .. number), is_new }
