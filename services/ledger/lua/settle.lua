-- Ends changes of a job that no worker has in hand; with force also those. ARGV: job, state, force (1 or 0), lines.
for i = 4, #ARGV do
  local ref = ARGV[1] .. ':' .. ARGV[i]
  local item = payload(ref)
  if item then
    local held = read_chain(job(ARGV[1]).catalog, digest(item))
    if held ~= ref or ARGV[3] == '1' then settle(ref, ARGV[2], '') end
  end
end
