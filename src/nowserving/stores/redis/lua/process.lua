-- process: note what process the owners belong to that begin with a nonce, or tell it.
-- KEYS: the process's own, which is no conversation's.
-- ARGV: host (percent-encoded), pid, started (Unix seconds); nothing to ask.
-- Returns: "host pid started"; "-" if that is not known, or not any more.
local PROCESS_KEPT = 172800000  -- two days; it is noted again twice a day

function verbs.process(key, host, pid, started)
  if host then
    redis.call('HSET', key, 'host', host, 'pid', pid, 'started', started)
    redis.call('PEXPIRE', key, PROCESS_KEPT)
    return host .. ' ' .. pid .. ' ' .. started
  end
  local found = redis.call('HMGET', key, 'host', 'pid', 'started')
  return found[1] and table.concat(found, ' ') or '-'
end
