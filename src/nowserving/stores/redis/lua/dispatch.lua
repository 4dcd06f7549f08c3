-- dispatch: run a batch of verbs in order, each on its own record, each with its own errors.
-- KEYS: one record for each verb of the batch.
-- ARGV: highest fencing token seen, inbox channel prefix, for how long an attempt of a take may be
--       late (us), then for each verb: its name, how many arguments it has, its arguments; at the end
--       the number of this call.
-- Returns: a reply for each verb, then the number of this call, by which its caller knows the replies
--       for its own (shape.py). An error is a string that begins with "!". "?on" says that the line
--       is too long for one call: the verb is said again with `on` behind its arguments. A "+" before
--       any other reply, or before the first text of a list, says that something is left over to be
--       swept: whoever gets it goes on with that (sweep.lua).
local verbs  -- made when a quick step does not do: that costs more than the step

-- The verb whose name is ARGV[at]. It unpacks its arguments itself: where they are more than the
-- stack holds, this verb fails and not the batch.
local function run(key, at, last)
  local name = ARGV[at]
  if quick[name] then
    local reply, fields = quick[name](key, unpack(ARGV, at + 2, last))
    if reply then return reply end
    verbs = verbs or all_verbs()
    return verbs[name](key, fields, unpack(ARGV, at + 2, last))
  end
  verbs = verbs or all_verbs()
  return verbs[name](key, unpack(ARGV, at + 2, last))
end

local replies, at = {}, 4
for i = 1, #KEYS do
  local last = at + 1 + tonumber(ARGV[at + 1])
  left_over = false
  local ok, reply = pcall(run, KEYS[i], at, last)
  if not ok then
    -- Redis 7 raises a table, Redis 6 a string.
    reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  elseif left_over and type(reply) == 'table' then
    reply[1] = '+' .. reply[1]
  elseif left_over and reply and string.sub(reply, 1, 1) ~= '?' then
    reply = '+' .. reply
  end
  replies[i] = reply
  at = last + 1
end
replies[#KEYS + 1] = ARGV[at]
return replies
