-- history: note what happened, or tell it; in streams, which are no conversation's record.
-- KEYS: <prefix>history:{<conversation>}, or <prefix>history for all conversations together.
-- record: ARGV: how many events stay, their TTL (ms), then for each event when it was (us, by the clock
--   of the server that has <prefix>history) and its text; none to ask for that clock. Returns: the
--   moment by this server's clock.
-- events: ARGV: "last", a text's id before which they are ("+" for the end), how many; or "behind", an
--   id, how many. Returns: for each event "id at text", `at` as it was given;
--   with "last" the last one first. "-" if there is none.

function verbs.record(key, most, ttl, ...)
  local said = {...}
  for i = 1, #said, 2 do
    redis.call('XADD', key, 'MAXLEN', '=', most, '*', 't', said[i], 'e', said[i + 1])
  end
  redis.call('PEXPIRE', key, ttl)
  return NOW
end

function verbs.events(key, which, id, count)
  local found
  if which == 'last' then
    found = redis.call('XREVRANGE', key, id == '+' and '+' or '(' .. id, '-', 'COUNT', count)
  else
    found = redis.call('XRANGE', key, '(' .. id, '+', 'COUNT', count)
  end
  if #found == 0 then return '-' end
  for i = 1, #found do
    local fields = found[i][2]
    found[i] = found[i][1] .. ' ' .. fields[2] .. ' ' .. fields[4]
  end
  return found
end
