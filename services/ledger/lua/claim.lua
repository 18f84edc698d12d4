-- Hands changes of one catalog to a worker. ARGV: drain, limit, lease (ms), alone (1 or 0).
-- Gives {claim, catalog, suspects, more, ref, version, payload, job, request ID, ...}; claim 0 where nothing is to be
-- done, and `more` 1 where it only looked at part of what there is.
local drain, limit, lease, alone = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local steps = 2000
local taken = {}

-- Holds the change of the product that is next: the newest that does not mind what was before it. Older ones stay until
-- it has ended well, and then are superseded: should it fail, they are still wanted.
local function take(catalog, ref)
  steps = steps - 1
  local item = payload(ref)
  if not item then return end
  local product = digest(item)
  local held, refs = read_chain(catalog, product)
  if held ~= '' then return end -- who ends that one hands this one out
  local oldest, newest
  for each in each_of(refs) do
    steps = steps - 1
    local found = { ref = each, item = accepted(each) }
    if found.item then
      found.version = version(each, found.item)
      if not oldest or found.version < oldest.version then oldest = found end
      if independent(found.item) and (not newest or found.version > newest.version) then newest = found end
    end
  end
  local next = newest or oldest
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

-- Up to `upto` changes taken in all, of what was given back or is due first, then of the lane's jobs in order.
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

local catalog
for _ = 1, redis.call('LLEN', 'la:catalogs') do
  catalog = redis.call('LMOVE', 'la:catalogs', 'la:catalogs', 'LEFT', 'RIGHT')
  if redis.call('EXISTS', 'la:paused:' .. catalog) == 0 then
    if alone then
      fill_alone(catalog)
    else
      -- A quarter is kept for those that nobody waits for, or a busy shop would starve its nightly feed. Where that is
      -- less than one, each claim in four, or two, has one.
      local claims = tonumber(redis.call('HGET', 'la:turns', catalog) or 0)
      local kept = math.floor((claims + 1) * limit / 4) - math.floor(claims * limit / 4)
      fill(catalog, 'interactive', limit - kept)
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
redis.call('ZADD', 'la:drains', now + lease, drain)
local claim = int(redis.call('INCR', 'la:claims'))
if not alone then redis.call('HINCRBY', 'la:turns', catalog, 1) end
redis.call('ZADD', 'la:leases', now + lease, claim)
redis.call('HSET', 'la:claim:' .. claim, 'c', catalog)
local answer = { claim, catalog, suspects(), more }
for _, each in ipairs(taken) do
  redis.call('HSET', 'la:claim:' .. claim, each.ref, '')
  local request = redis.call('HGET', 'la:job:' .. each.job, 'r') or ''
  for _, value in ipairs({ each.ref, int(each.version), each.item, each.job, request }) do answer[#answer + 1] = value end
end
return answer
