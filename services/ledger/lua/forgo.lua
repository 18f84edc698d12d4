-- Ends the removal of a job that is canceled, where it has one: what it has not appended to the job stays. Or its task.
local number = ARGV[1]

end_removal(number, 'canceled')
end_task(number, '', 'canceled', '')
