-- Tells that a worker lives. ARGV: worker, slots, milliseconds.
redis.call('ZADD', 'la:workers', now + ARGV[3], ARGV[1] .. ' ' .. ARGV[2])
redis.call('ZREMRANGEBYSCORE', 'la:workers', '-inf', now)
