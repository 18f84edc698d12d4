-- Writes lines of a job that is being received; the last ones also commit it.
-- Returns {job}, {job, its hash} when committed, or {error, detail, job}.
local number = ARGV[1]                 -- 0 for a new job
local catalog = ARGV[2]
local catalog_name = ARGV[3]
local lane = ARGV[4]
local request_id = ARGV[5]             -- or ''
local keep_seconds = ARGV[6]           -- once it has finished
local max_chain_bytes = tonumber(ARGV[7])
local total = tonumber(ARGV[8])        -- of all lines, which commits the job; -1 where more lines follow
local max_waiting = tonumber(ARGV[9])
local idempotency_key = ARGV[10]       -- or ''
local key_seconds = ARGV[11]
local removal_version = ARGV[12]       -- or '' where the job removes nothing in the end
local removal_most = ARGV[13]          -- or ''
local removal_filter = ARGV[14]        -- or ''
local removal_forgone = ARGV[15]       -- why nothing is removed, or ''
local names = ARGV[16]                 -- digests of the products that these lines name, where that matters
local refused = tonumber(ARGV[17])     -- how many lines were no changes
local said = ARGV[18]                  -- what the job tells of the feed, of a new job; or ''
local REMOVALS = 1000                  -- that may wait in a catalog: each keeps the names of all jobs before it
local first_refused = 19               -- in ARGV: "line note", so many times
local first_change = first_refused + refused -- in ARGV: pairs of line and payload

if redis.call('ZSCORE', 'la:dropping', catalog) then return { 'removed', '', number } end
if number == '0' then
  if redis.call('EXISTS', 'la:version:' .. catalog) == 0 then return { 'unknown' } end
  local before = tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting') or 0)
  if before >= max_waiting then return { 'full', int(before), '0' } end
  number = int(redis.call('INCR', 'la:jobs'))
  redis.call('HSET', 'la:job:' .. number, 'c', catalog, 'cn', catalog_name, 'l', lane, 't0', now, 'keep', keep_seconds)
  if request_id ~= '' then redis.call('HSET', 'la:job:' .. number, 'r', request_id) end
  if said ~= '' then redis.call('HSET', 'la:job:' .. number, 'said', said) end
elseif tonumber(redis.call('ZSCORE', 'la:receiving', number) or 0) == 0 then
  return { 'gone' } -- its sender counted as dead, and it was or is being forgotten
end
redis.call('ZADD', 'la:receiving', now, number)

if names ~= '' then redis.call('RPUSH', 'la:names:' .. number, names) end
for i = first_refused, first_change - 1 do
  redis.call('RPUSH', 'la:failed:' .. number, ARGV[i] .. '\n')
  redis.call('HINCRBY', 'la:job:' .. number, 'f', 1)
end
local lowest
for i = first_change, #ARGV, 2 do
  local line, item = ARGV[i], ARGV[i + 1]
  local product = digest(item)
  local stored = redis.call('HGET', 'la:chain:' .. catalog, product) or '|'
  if #stored > max_chain_bytes then return { 'busy', line, number } end
  redis.call('HSET', 'la:items', number .. ':' .. line, item)
  redis.call('HSET', 'la:chain:' .. catalog, product, stored .. number .. ':' .. line .. ' ')
  local own = own_version(item)
  if own and (not lowest or own < lowest) then lowest = own end
end
if lowest then
  local low = tonumber(redis.call('HGET', 'la:job:' .. number, 'low') or lowest)
  redis.call('HSET', 'la:job:' .. number, 'low', int(math.min(low, lowest)))
end
local changes = redis.call('HINCRBY', 'la:job:' .. number, 'got', (#ARGV - first_change + 1) / 2)
if total < 0 then return { number } end

local failures = tonumber(redis.call('HGET', 'la:job:' .. number, 'f') or 0)
if redis.call('EXISTS', 'la:version:' .. catalog) == 0 then return { 'removed', '', number } end
local waiting = tonumber(redis.call('HGET', 'la:counts:' .. catalog, 'waiting') or 0)
if waiting + changes > max_waiting then return { 'full', int(waiting), number } end
if removal_version ~= '' and redis.call('LLEN', 'la:removals:' .. catalog) >= REMOVALS then
  return { 'removals', int(REMOVALS), number }
end

local base = redis.call('INCRBY', 'la:version:' .. catalog, total) - total
redis.call('HSET', 'la:job:' .. number, 'b', int(base), 'n', total, 'cur', 0)
redis.call('HDEL', 'la:job:' .. number, 'got')
redis.call('ZREM', 'la:receiving', number)
if removal_forgone ~= '' then
  redis.call('HSET', 'la:job:' .. number, 'why', removal_forgone)
elseif removal_version ~= '' then
  -- It counts as a last line, which keeps the job open until it has ended. Its deletions will have this version.
  local low = tonumber(redis.call('HGET', 'la:job:' .. number, 'low') or removal_version)
  redis.call('HSET', 'la:job:' .. number, 'v', removal_version, 'most', removal_most, 'flt', removal_filter,
    'n', total + 1, 'low', int(math.min(low, tonumber(removal_version))))
  redis.call('SUNIONSTORE', 'la:older:' .. number, 'la:open:' .. catalog)
  -- A task brings no product that was not there, and may take hours.
  for _, task in ipairs(redis.call('LRANGE', 'la:tasks:' .. catalog, 0, -1)) do
    redis.call('SREM', 'la:older:' .. number, task)
  end
  redis.call('RPUSH', 'la:removals:' .. catalog, number)
end
redis.call('SADD', 'la:open:' .. catalog, number)
redis.call('HINCRBY', 'la:counts:' .. catalog, 'waiting', changes)
if failures > 0 then redis.call('HINCRBY', 'la:counts:' .. catalog, 'failed', failures) end
redis.call('RPUSH', 'la:lane:' .. catalog .. ':' .. lane, number)
if not redis.call('LPOS', 'la:catalogs', catalog) then redis.call('RPUSH', 'la:catalogs', catalog) end
bind_key(idempotency_key, number, key_seconds)
finish_if_done(number)
return { number, redis.call('HGETALL', 'la:job:' .. number) }
