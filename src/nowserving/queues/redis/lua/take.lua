-- take: join the line of a conversation.
-- KEYS: the record.
-- ARGV: owner, lifetime (us), flags ("c" claimed, "r" renewed, "-" neither), policy (q queue,
--       r reject, l latest, i interrupt), most waiters (-1: any number), message ("-": none),
--       again ("1" when an earlier attempt may have arrived).
-- fields: what quick.take has read: the record's, the owner's tombstone, the message's.
-- Returns: a standing: "S|I number 0 expires_in blocked_for token predecessor",
--       "W number ahead expires_in blocked_for mark", "B ahead held_for owner", "D progress", "G -1".
function verbs.take(key, fields, owner, lifetime, flags, policy, limit, message, again)
  local rec = record(key, fields)
  lifetime, limit = tonumber(lifetime), tonumber(limit)

  if rec.extra1 then  -- its owner left before this take arrived
    redis.call('HDEL', key, 'x:' .. owner)
    return 'G -1'
  end
  settle(rec)
  if again == '1' then
    -- The reply to the first attempt was lost, maybe with the ticket issued: it keeps its place.
    local mine = find(rec, owner)
    if mine then
      commit(rec)
      return standing(rec, mine)
    end
  end
  if message ~= '-' then
    sweep_messages(rec)
    local progress = progress_of(rec, rec.extra2)
    if progress then
      commit(rec)
      return 'D ' .. progress
    end
  end

  local supersedes = policy == 'l' or policy == 'i'
  if rec.serving < rec.next then
    local full = limit >= 0 and (supersedes and limit == 0
                                 or not supersedes and waiters(rec, limit) >= limit)
    if policy == 'r' or full then
      local head = ticket_of(rec, rec.serving)
      commit(rec)
      return 'B ' .. int(rec.next - rec.serving) .. ' ' .. int(now - head.served_at) ..
        ' ' .. head.owner
    end
    if supersedes then supersede(rec, policy == 'i') end
  end

  local mine = {number = rec.next, expires = now + lifetime, lifetime = lifetime, served_at = 0,
                flags = flags, owner = owner, message = message}
  rec.tickets[mine.number] = mine
  rec.next = rec.next + 1
  set(rec, 'next', int(rec.next))
  if message ~= '-' then set(rec, 'm:' .. message, int(mine.number)) end
  if rec.missing then
    set(rec, 'serving', '0')
    new_mark(rec)
  end
  settle(rec, mine)
  if mine.served_at == 0 then
    write(rec, mine)
    keep(rec, mine.expires + lifetime, lifetime)
  end
  commit(rec)
  return standing(rec, mine)
end
