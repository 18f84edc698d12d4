-- Reserves a version of a catalog. Returns it, or an error.
local catalog = ARGV[1]

if redis.call('ZSCORE', 'la:dropping', catalog) then return 'removed' end
if redis.call('EXISTS', 'la:version:' .. catalog) == 0 then return 'unknown' end
return int(redis.call('INCR', 'la:version:' .. catalog))
