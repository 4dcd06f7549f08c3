-- history: note what happened, or tell it; under keys that are no conversation's record.
-- KEYS: <prefix>history:{<conversation>}, a list: a stream takes 4 kB for its first event already; or
--   <prefix>history, the stream for all conversations together, which can be followed.
-- keep, record: ARGV: how many events stay, their TTL (ms), then for each event when it was (us, by the
--   clock of the server that has <prefix>history) and its text; record without any asks for that clock.
--   Returns: the moment by this server's clock.
-- kept: ARGV: how many of the last ones are passed over, how many are told. Returns: "at text" of each,
--   oldest first; "-" if there is none.
-- events: ARGV: "last", an id before which they are ("+" for the end), how many; or "behind", an id, how
--   many. Returns: "id at text" of each; with "last" the last one first. "-" if there is none.
local OLDEST_AT_ONCE = 200  -- that are taken out of a list in one call: more than it brings

function verbs.keep(key, most, ttl, ...)
  local said, texts = {...}, {}
  for i = 1, #said, 2 do texts[#texts + 1] = said[i] .. ' ' .. said[i + 1] end
  redis.call('RPUSH', key, unpack(texts))
  redis.call('LTRIM', key, -most, -1)
  local oldest = now - ttl * 1000
  for _ = 1, OLDEST_AT_ONCE do
    local first = redis.call('LINDEX', key, 0)
    if not first or tonumber(string.match(first, '^%d+') or 0) >= oldest then break end
    redis.call('LPOP', key)
  end
  redis.call('PEXPIRE', key, ttl)
  return NOW
end

function verbs.kept(key, over, count)
  local found = redis.call('LRANGE', key, -over - count, -over - 1)
  return #found > 0 and found or '-'
end

function verbs.record(key, most, ttl, ...)
  local said = {...}
  for i = 1, #said, 2 do
    redis.call('XADD', key, 'MAXLEN', '=', most, '*', 't', said[i], 'e', said[i + 1])
  end
  if #said > 0 then
    redis.call('XTRIM', key, 'MINID', int(now / 1000 - ttl))
    redis.call('PEXPIRE', key, ttl)
  end
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
