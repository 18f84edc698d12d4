-- Ends changes of a job that no worker is processing; with `force` also those that one is.
local number = ARGV[1]
local state = ARGV[2]
local force = ARGV[3] == '1'
local first_line = 4 -- in ARGV

for i = first_line, #ARGV do
  local ref = number .. ':' .. ARGV[i]
  local item = payload(ref)
  if item then
    local held = read_chain(job(number).catalog, digest(item))
    if held ~= ref or force then settle(ref, state, '') end
  end
end
