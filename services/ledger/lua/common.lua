-- The beginning of every script of the ledger. The keys, C being a catalog's ID, N a job's number, K a claim's:
--
--   la:format            number of the format (FORMAT is the current one; none: that of v0.1)
--   la:jobs, la:claims   counters                    la:version:C  the last version given; gone with the catalog
--   la:catalogs          list of C, rotated at claims la:open:C     set of N: accepted, not finished
--   la:dropping, la:removed  zsets of C by when its removal began, ended (ms); the latter for five minutes
--   la:failing:C         zset of N by when it is forgotten (ms): finished, but what failed may be retried
--   la:turns             hash C -> claims of it
--   la:receiving         zset N by last touch (ms), 0 while it is being forgotten
--   la:counts:C          hash: waiting, in_flight, and ended by state; la:counts: of all removed catalogs
--   la:job:N             hash: c catalog ID, cn its name, b base version, n total, cur next line to hand out, l lane,
--                        a u x f k how many ended applied, unchanged, superseded, failed, canceled,
--                        im images of those that workers ended, got lines received, low the lowest version that its changes have of their own,
--                        t0 t1 t2 created, started, finished (ms), s state once finished, w waiters, r request ID,
--                        keep seconds to be kept when finished, said what it tells of its feed, JSON
--                        of a removal: v its version and the last line, which is no change, until it has ended; most it
--                        removes at most, flt its filter, go once decided, rc K that has it, rx its crashes in a row; rl the first line that it
--                        has appended, rm how many of those were applied, why not all of them
--                        of a task: due when it can be done (ms), until it has ended; tk its kind, par its parameters (JSON), tc K
--                        that has it, tx its crashes in a row since tm, the most that it had done, td done of tt, ck its checkpoint, res its result (JSON), msg why it failed
--   la:tasks:C           list of N that are tasks and have not ended, in the order in which they were accepted
--   la:removals:C        list of N whose removal has not ended, in the order in which they were accepted
--   la:names:N           list of digests of the products that N names, many in one
--   la:older:N           set of those jobs that were open when N was accepted, for which its removal waits
--   la:items             hash ref -> payload, until the change has ended; a ref is "N:line"
--   la:failed:N          list of "line note\npayload" of changes that failed
--   la:lane:C:L          list of N with lines to hand out     la:ready:C:L  list of refs to hand out first
--   la:chain:C           hash product digest -> "held|ref ref ... ": its changes that have not ended
--   la:suspects:C        list of refs that run alone          la:crashes:C  hash ref -> workers it crashed
--   la:claim:K           hash: c, and ref -> ""               la:leases     zset K by end of lease (ms)
--   la:drains, la:workers  zsets by end of life (ms): "worker/...", "worker slots"
--   la:ended:S           how many changes ended in second S, by record; for two minutes
--   la:waits:C, la:waits:C:N  hash: c code, m message and s since when (ms) the changes of a catalog, or a task, wait
--                        for what they are put off for; gone when it has come, or nobody has tried again
--   la:paused:C, la:done:N, la:key:...
--
-- A payload is a letter (i: independent of changes before it, d: dependent; I, D: with its own version), the
-- product's digest (16 bytes), the version where it has its own (16 digits), and JSON that only Python reads.
-- A change's version is else base + line + 1.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local SUSPECT = 2 -- crashes in company after which a change runs alone
local WAITS_MS = 120000 -- after which what was not tried again is not known to wait
local GUILTY = 5  -- three more, alone

local function int(number) return string.format('%.0f', number) end

local function parts(ref)
  local number, line = string.match(ref, '^(%d+):(%d+)$')
  return number, line
end

local known = {}
local function job(number)
  if not known[number] then
    local found = redis.call('HMGET', 'la:job:' .. number, 'c', 'b', 'l', 'rl')
    known[number] = { catalog = found[1], base = tonumber(found[2]), lane = found[3], removes_from = tonumber(found[4]) }
  end
  return known[number]
end

local function payload(ref) return redis.call('HGET', 'la:items', ref) end

local function digest(item) return string.sub(item, 2, 17) end

local function own_version(item)
  local kind = string.sub(item, 1, 1)
  return (kind == 'I' or kind == 'D') and tonumber(string.sub(item, 18, 33))
end

local function version(ref, item)
  local own = own_version(item)
  if own then return own end
  local number, line = parts(ref)
  return job(number).base + line + 1
end

local function independent(item)
  return string.lower(string.sub(item, 1, 1)) == 'i'
end

-- The refs of a chain are one text, each followed by a space: it may name a thousand.
local function read_chain(catalog, product)
  local stored = redis.call('HGET', 'la:chain:' .. catalog, product)
  if not stored then return '', '' end
  local bar = string.find(stored, '|', 1, true)
  return string.sub(stored, 1, bar - 1), string.sub(stored, bar + 1)
end

local function write_chain(catalog, product, held, refs)
  if refs == '' then
    redis.call('HDEL', 'la:chain:' .. catalog, product)
  else
    redis.call('HSET', 'la:chain:' .. catalog, product, held .. '|' .. refs)
  end
end

local function each_of(refs) return string.gmatch(refs, '%S+') end

local function without(refs, gone)
  local start, stop = string.find(' ' .. refs, ' ' .. gone .. ' ', 1, true)
  return string.sub(refs, 1, start - 1) .. string.sub(refs, stop)
end

-- The payload of a change that has been accepted and has not ended; nil while its job is being received.
local function accepted(ref) return job((parts(ref))).base and payload(ref) end

local function push_ready(catalog, ref, first)
  redis.call(first and 'LPUSH' or 'RPUSH', 'la:ready:' .. catalog .. ':' .. job((parts(ref))).lane, ref)
end

local LETTER = { applied = 'a', unchanged = 'u', superseded = 'x', failed = 'f', canceled = 'k' }

local function finish_if_done(number)
  local key = 'la:job:' .. number
  local found = redis.call('HMGET', key, 'n', 'a', 'u', 'x', 'f', 'k', 'w', 'c', 'keep', 'why')
  local done = 0
  for i = 2, 6 do done = done + (tonumber(found[i]) or 0) end
  if done < tonumber(found[1]) then return end
  local state = 'succeeded'
  if (tonumber(found[6]) or 0) > 0 or found[10] == 'canceled' then state = 'canceled'
  elseif done > 0 and tonumber(found[5]) == done or done == 0 and found[10] then state = 'failed' end
  redis.call('HSET', key, 's', state, 't2', now)
  redis.call('SREM', 'la:open:' .. found[8], number)
  if (tonumber(found[5]) or 0) > 0 then
    local failing = 'la:failing:' .. found[8]
    redis.call('ZREMRANGEBYSCORE', failing, '-inf', now)
    redis.call('ZADD', failing, now + found[9] * 1000, number)
    redis.call('EXPIRE', failing, found[9] + 86400)
  end
  redis.call('EXPIRE', key, found[9])
  redis.call('EXPIRE', 'la:failed:' .. number, found[9])
  for _ = 1, tonumber(found[7]) or 0 do redis.call('LPUSH', 'la:done:' .. number, '1') end
  redis.call('EXPIRE', 'la:done:' .. number, 10)
end

local ended = 0 -- by this script

-- Counts the end of a change that was `waiting` or `in_flight`.
local function count_end(ref, item, was, state, note)
  local number, line = parts(ref)
  local catalog = job(number).catalog
  redis.call('HDEL', 'la:items', ref)
  redis.call('HDEL', 'la:crashes:' .. catalog, ref)
  if state == 'failed' then redis.call('RPUSH', 'la:failed:' .. number, line .. ' ' .. note .. '\n' .. item) end
  redis.call('HINCRBY', 'la:job:' .. number, LETTER[state], 1)
  local removes_from = job(number).removes_from
  if removes_from and tonumber(line) >= removes_from and state == 'applied' then
    redis.call('HINCRBY', 'la:job:' .. number, 'rm', 1)
  end
  redis.call('HINCRBY', 'la:counts:' .. catalog, state, 1)
  redis.call('HINCRBY', 'la:counts:' .. catalog, was, -1)
  ended = ended + 1
  finish_if_done(number)
end

local function supersede(refs, before)
  for ref in each_of(refs) do
    local item = accepted(ref)
    if item and version(ref, item) < before then
      count_end(ref, item, 'waiting', 'superseded')
      refs = without(refs, ref)
    end
  end
  return refs
end

-- Ends a change, once: afterwards it has no payload any more. `note` is the JSON of a failure's code and message. One
-- that was processed and succeeded supersedes those before it; then the product's next becomes available.
local function settle(ref, state, note)
  local item = payload(ref)
  if not item then return end
  local catalog, product = job((parts(ref))).catalog, digest(item)
  local held, refs = read_chain(catalog, product)
  local was_held = held == ref
  count_end(ref, item, was_held and 'in_flight' or 'waiting', state, note)
  refs = without(refs, ref)
  if was_held then
    held = ''
    if state ~= 'failed' and state ~= 'canceled' then refs = supersede(refs, version(ref, item)) end
  end
  write_chain(catalog, product, held, refs)
  if held ~= '' then return end
  for other in each_of(refs) do
    -- Any will do, because the script `claim` then finds the next one; but it must be one that was committed.
    if accepted(other) then return push_ready(catalog, other, true) end
  end
end

-- Requeues a change that a worker had claimed. One that `crashed` its worker runs later, and in the end alone.
local function release_change(ref, crashed)
  local item = payload(ref)
  if not item then return end
  local catalog = job((parts(ref))).catalog
  local _, refs = read_chain(catalog, digest(item))
  local crashes = crashed and redis.call('HINCRBY', 'la:crashes:' .. catalog, ref, 1) or 0
  if crashes >= GUILTY then
    settle(ref, 'failed', cjson.encode({ 'worker_crashed',
      'A worker ended each time it had this change in hand; look at its image, then retry the job.' }))
    return
  end
  write_chain(catalog, digest(item), '', refs)
  redis.call('HINCRBY', 'la:counts:' .. catalog, 'in_flight', -1)
  redis.call('HINCRBY', 'la:counts:' .. catalog, 'waiting', 1)
  if crashes >= SUSPECT then redis.call('RPUSH', 'la:suspects:' .. catalog, ref)
  else push_ready(catalog, ref, not crashed) end
end

local function end_claim(claim)
  redis.call('DEL', 'la:claim:' .. claim)
  redis.call('ZREM', 'la:leases', claim)
end

-- The field c is among them; it is no ref, so it has no payload and is skipped.
local function refs_of(claim) return redis.call('HKEYS', 'la:claim:' .. claim) end

-- The job of the catalog whose removal can be done now; nil where there is none. Its own changes have ended, and so have
-- all jobs that were accepted before it: none can still bring an older product. So it can only be the first that was
-- accepted, for which the others wait, too.
local function due_removal(catalog)
  local number = redis.call('LINDEX', 'la:removals:' .. catalog, 0)
  if not number then return end
  local found = redis.call('HMGET', 'la:job:' .. number, 'n', 'a', 'u', 'x', 'f', 'k', 'rc')
  local done = 0
  for i = 2, 6 do done = done + (tonumber(found[i]) or 0) end
  if done < tonumber(found[1]) - 1 then return end
  if found[7] and redis.call('ZSCORE', 'la:leases', found[7]) then return end
  local older, open = 'la:older:' .. number, 'la:open:' .. catalog
  -- Every claim asks this, and there may be a hundred thousand: mostly a look at one is enough.
  local one = redis.call('SRANDMEMBER', older)
  if one and redis.call('SISMEMBER', open, one) == 1 then return end
  if redis.call('SINTERSTORE', older, older, open) == 0 then return number end
end

-- The job whose removal a claim is for; nil where its lease was over, with which the claim is gone, or the removal has
-- ended.
local function removal_of(claim)
  local number = redis.call('HGET', 'la:claim:' .. claim, 'removal')
  return number and redis.call('HEXISTS', 'la:job:' .. number, 'v') == 1 and number
end

-- Ends the removal of a job, where it has one that has not ended; `why` not all was removed, or ''.
local function end_removal(number, why)
  local key = 'la:job:' .. number
  local found = redis.call('HMGET', key, 'c', 'v')
  if not found[2] then return end
  redis.call('HDEL', key, 'v', 'most', 'flt', 'go', 'rc', 'rx')
  redis.call('HINCRBY', key, 'n', -1)
  if why ~= '' then redis.call('HSET', key, 'why', why) end
  redis.call('LREM', 'la:removals:' .. found[1], 1, number)
  redis.call('UNLINK', 'la:names:' .. number, 'la:older:' .. number)
  finish_if_done(number)
end

-- A removal, which shares its claim with nothing, fails after as many crashes in a row as a change: without an end it
-- would take down one worker after the other. Any step forward begins the count anew.
local function removal_crashed(number)
  if redis.call('HINCRBY', 'la:job:' .. number, 'rx', 1) >= GUILTY then end_removal(number, 'worker_crashed') end
end

-- Makes an idempotency key that was begun, if any, find this job.
local function bind_key(idempotency_key, number, seconds)
  local begun = idempotency_key ~= '' and redis.call('GET', 'la:key:' .. idempotency_key)
  if not begun then return end
  local request_digest = string.match(begun, '^(%S+)')
  redis.call('SET', 'la:key:' .. idempotency_key, request_digest .. ' ' .. number, 'EX', seconds)
end

-- Notes what work waits for, which is tried again after a pause.
local function say_waits(key, code, message, pause_ms)
  local before = redis.call('HGET', key, 'c')
  if before ~= code then redis.call('HSET', key, 'c', code, 's', now) end
  redis.call('HSET', key, 'm', message)
  redis.call('PEXPIRE', key, int(2 * pause_ms + WAITS_MS))
end

-- The task of the catalog that can be done now: one at a time, in the order in which they were accepted.
local function due_task(catalog)
  local number = redis.call('LINDEX', 'la:tasks:' .. catalog, 0)
  if not number then return end
  local found = redis.call('HMGET', 'la:job:' .. number, 'due', 'tc')
  if tonumber(found[1] or 0) > now or found[2] and redis.call('ZSCORE', 'la:leases', found[2]) then return end
  return number
end

-- The job whose task a claim is for; nil where its lease was over, with which the claim is gone, or the task has ended.
local function task_of(claim)
  local number = redis.call('HGET', 'la:claim:' .. claim, 'task')
  return number and redis.call('HEXISTS', 'la:job:' .. number, 'due') == 1 and number
end

-- Ends the task of a job, where it is one that has not ended: with a result, or a code that says why there is none.
local function end_task(number, result, code, message)
  local key = 'la:job:' .. number
  local found = redis.call('HMGET', key, 'c', 'due')
  if not found[2] then return end
  redis.call('HDEL', key, 'due', 'tc', 'tx', 'tm', 'ck')
  redis.call('HSET', key, 'n', 0)
  if result ~= '' then redis.call('HSET', key, 'res', result) end
  if code ~= '' then redis.call('HSET', key, 'why', code) end
  if message ~= '' then redis.call('HSET', key, 'msg', message) end
  redis.call('LREM', 'la:tasks:' .. found[1], 1, number)
  redis.call('DEL', 'la:waits:' .. found[1] .. ':' .. number)
  finish_if_done(number)
end

-- As a removal: without an end it would take down one worker after the other. To be further than ever begins the count
-- anew.
local function task_crashed(number)
  if redis.call('HINCRBY', 'la:job:' .. number, 'tx', 1) >= GUILTY then
    end_task(number, '', 'worker_crashed',
      'A worker ended each time it had this task in hand; look at the logs of the workers, then send it again.')
  end
end

-- Ends a claim and makes what it holds available to others; each counts as crashed where the worker has.
local function release(claim, crashed)
  for _, ref in ipairs(refs_of(claim)) do release_change(ref, crashed) end
  local removal, task = removal_of(claim), task_of(claim)
  end_claim(claim)
  if removal and crashed then removal_crashed(removal) end
  if task and crashed then task_crashed(task) end
  return task
end
