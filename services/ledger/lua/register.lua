-- Notes that a worker is alive.
local worker = ARGV[1]
local slots = ARGV[2]
local alive_ms = ARGV[3]

redis.call('ZADD', 'la:workers', now + alive_ms, worker .. ' ' .. slots)
redis.call('ZREMRANGEBYSCORE', 'la:workers', '-inf', now)
