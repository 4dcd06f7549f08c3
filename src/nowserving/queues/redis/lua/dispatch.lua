-- dispatch: run a batch of verbs in order, each on its own record, each with its own errors.
-- KEYS: one record for each verb of the batch.
-- ARGV: highest fencing token seen, inbox channel prefix, then for each verb: its name, how many
--       arguments it has, its arguments.
-- Returns: a reply for each verb; an error is a string that begins with "!".
local replies, at = {}, 3
for i = 1, #KEYS do
  local count = tonumber(ARGV[at + 1])
  local ok, reply = pcall(verbs[ARGV[at]], KEYS[i], unpack(ARGV, at + 2, at + 1 + count))
  if not ok then
    -- Redis 7 raises a table, Redis 6 a string.
    reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[i] = reply
  at = at + 2 + count
end
return replies
