-- Hands changes of one catalog to a worker.
-- Returns {claim, catalog, suspects, more, ref, version, payload, job, request ID, ...}; claim 0 where there is nothing
-- to do, and `more` 1 where it only looked at part of what there is. Where a removal is due, it returns that instead:
-- {claim, catalog, suspects, more, 'removal', job, version, most, filter, decided, request ID}, absent ones ''.
local drain = ARGV[1]
local limit = tonumber(ARGV[2])
local lease_ms = tonumber(ARGV[3])
local alone = ARGV[4] == '1'

local steps = 2000 -- changes that it looks at, so that it does not block Redis for long
local taken = {}

local function is_of_removal(ref)
  local number, line = parts(ref)
  local removes_from = job(number).removes_from
  return removes_from and tonumber(line) >= removes_from
end

local function first_after(deletion, all)
  local first
  for _, each in ipairs(all) do
    if each.version > deletion.version and (not first or each.version < first.version) then first = each end
  end
  return first
end

-- Holds the product's next change: the newest that does not depend on those before it. Older ones stay until it has
-- succeeded, and are superseded then: should it fail, they are still needed. A deletion of a removal lets what came after
-- go first, or a patch would find nothing: what is changed after the removal was asked for stays.
local function take(catalog, ref)
  steps = steps - 1
  local item = payload(ref)
  if not item then return end
  local product = digest(item)
  local held, refs = read_chain(catalog, product)
  if held ~= '' then return end -- whoever ends that one makes this one available
  local oldest, newest
  local all = {}
  for each in each_of(refs) do
    steps = steps - 1
    local found = { ref = each, item = accepted(each) }
    if found.item then
      found.version = version(each, found.item)
      all[#all + 1] = found
      if not oldest or found.version < oldest.version then oldest = found end
      if independent(found.item) and (not newest or found.version > newest.version) then newest = found end
    end
  end
  local next = newest or oldest
  if newest and is_of_removal(newest.ref) then next = first_after(newest, all) or newest end
  if not alone and tonumber(redis.call('HGET', 'la:crashes:' .. catalog, next.ref) or 0) >= SUSPECT then
    redis.call('RPUSH', 'la:suspects:' .. catalog, next.ref)
    return
  end
  write_chain(catalog, product, next.ref, refs)
  redis.call('HINCRBY', 'la:counts:' .. catalog, 'waiting', -1)
  redis.call('HINCRBY', 'la:counts:' .. catalog, 'in_flight', 1)
  local number = parts(next.ref)
  redis.call('HSETNX', 'la:job:' .. number, 't1', now)
  taken[#taken + 1] = { ref = next.ref, version = next.version, item = next.item, job = number }
end

-- Takes changes until there are `upto`: first those that were requeued or whose turn it is, then the lane's jobs in order.
local function fill(catalog, lane, upto)
  local ready, jobs = 'la:ready:' .. catalog .. ':' .. lane, 'la:lane:' .. catalog .. ':' .. lane
  while #taken < upto and steps > 0 do
    local ref = redis.call('LPOP', ready)
    local number = not ref and redis.call('LINDEX', jobs, 0)
    if ref then
      take(catalog, ref)
    elseif number then
      local found = redis.call('HMGET', 'la:job:' .. number, 'cur', 'n')
      local current, total = tonumber(found[1]), tonumber(found[2])
      if not current or current >= total then
        redis.call('LPOP', jobs)
      else
        while current < total and #taken < upto and steps > 0 do
          take(catalog, number .. ':' .. int(current))
          current = current + 1
        end
        redis.call('HSET', 'la:job:' .. number, 'cur', current)
      end
    else
      return
    end
  end
end

local function fill_alone(catalog)
  while #taken == 0 and steps > 0 do
    local ref = redis.call('LPOP', 'la:suspects:' .. catalog)
    if not ref then return end
    take(catalog, ref)
  end
end

local function suspects()
  local count = 0
  for _, catalog in ipairs(redis.call('LRANGE', 'la:catalogs', 0, -1)) do
    if redis.call('EXISTS', 'la:paused:' .. catalog) == 0 then
      count = count + redis.call('LLEN', 'la:suspects:' .. catalog)
    end
  end
  return count
end

-- Hands out what a job removes.
local function hand_out_removal(catalog, number)
  local key = 'la:job:' .. number
  local claim = int(redis.call('INCR', 'la:claims'))
  redis.call('ZADD', 'la:drains', now + lease_ms, drain)
  redis.call('ZADD', 'la:leases', now + lease_ms, claim)
  redis.call('HSET', 'la:claim:' .. claim, 'c', catalog, 'removal', number)
  redis.call('HSETNX', key, 't1', now)
  redis.call('HSET', key, 'rc', claim)
  local found = redis.call('HMGET', key, 'v', 'most', 'flt', 'go', 'r')
  local answer = { claim, catalog, suspects(), 0, 'removal', number }
  for i = 1, 5 do answer[#answer + 1] = found[i] or '' end
  return answer
end

local catalog
for _ = 1, redis.call('LLEN', 'la:catalogs') do
  catalog = redis.call('LMOVE', 'la:catalogs', 'la:catalogs', 'LEFT', 'RIGHT')
  if redis.call('EXISTS', 'la:paused:' .. catalog) == 0 then
    if alone then
      fill_alone(catalog)
    else
      local number = due_removal(catalog)
      if number then return hand_out_removal(catalog, number) end
      -- A quarter of each claim is reserved for bulk changes, or a busy shop would starve its nightly feed. Where a
      -- quarter is less than one change, one claim in four, or in two, has one.
      local claims = tonumber(redis.call('HGET', 'la:turns', catalog) or 0)
      local reserved = math.floor((claims + 1) * limit / 4) - math.floor(claims * limit / 4)
      fill(catalog, 'interactive', limit - reserved)
      fill(catalog, 'bulk', limit)
      fill(catalog, 'interactive', limit)
    end
  end
  if #taken > 0 or steps <= 0 then break end
end

local more = steps <= 0 and 1 or 0
if #taken == 0 then
  if more == 0 then redis.call('ZREM', 'la:drains', drain) end
  return { '0', '', suspects(), more }
end
redis.call('ZADD', 'la:drains', now + lease_ms, drain)
local claim = int(redis.call('INCR', 'la:claims'))
if not alone then redis.call('HINCRBY', 'la:turns', catalog, 1) end
redis.call('ZADD', 'la:leases', now + lease_ms, claim)
redis.call('HSET', 'la:claim:' .. claim, 'c', catalog)
local answer = { claim, catalog, suspects(), more }
for _, each in ipairs(taken) do
  redis.call('HSET', 'la:claim:' .. claim, each.ref, '')
  local request = redis.call('HGET', 'la:job:' .. each.job, 'r') or ''
  for _, value in ipairs({ each.ref, int(each.version), each.item, each.job, request }) do answer[#answer + 1] = value end
end
return answer
