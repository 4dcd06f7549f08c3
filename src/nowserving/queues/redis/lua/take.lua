-- take: join the line of a conversation.
-- KEYS: the record.
-- ARGV: owner, lifetime (us, whole ms), flags ("c" claimed, "r" renewed, "-" neither), policy
--       (q queue, r reject, l latest, i interrupt), most waiters (-1: any number), message ("-":
--       none), again ("1" when an earlier attempt may have arrived, or may still be on its way).
-- fields: what quick.take has read: the record's, the owner's tombstone, the message's.
-- Returns: a standing: "S|I number 0 expires_in blocked_for token predecessor",
--       "W number ahead expires_in blocked_for mark", "B ahead held_for owner", "D progress";
--       "G -1" when it comes too late; when it is repeated and its ticket is gone, "G number", or
--       "X number" if a newer message took its place.

-- Answer that nothing is issued. A repeated take is buried first: its earlier attempts may come
-- when the conversation is free.
local function refuse(rec, owner, repeated, answer)
  if repeated then
    if not rec.extra1 then bury(rec, owner, -1) end
    write_though_full(rec)
  end
  commit(rec)
  return answer
end

function verbs.take(key, fields, owner, lifetime, flags, policy, limit, message, again)
  local rec = record(key, fields)
  lifetime, limit = tonumber(lifetime), tonumber(limit)
  local repeated, buried, earlier = again == '1', rec.extra1, -1

  -- Its owner has left, or a later attempt has arrived before this one.
  if buried and not repeated then return 'G -1' end
  settle(rec)
  sweep_graves(rec)
  if repeated then
    -- The reply to an earlier attempt was lost, maybe with the ticket issued: it keeps its place.
    local mine = find(rec, owner)
    if mine then
      if not buried then bury(rec, owner, mine.number) end
      write_though_full(rec)
      commit(rec)
      return standing(rec, mine)
    end
    if buried then earlier = select(2, inscription(buried)) end
    if earlier >= 0 and earlier < rec.below then
      commit(rec)
      return 'X ' .. int(earlier)
    end
  end
  if message ~= '-' then
    sweep_messages(rec)
    local progress = progress_of(rec, rec.extra2)
    if progress then return refuse(rec, owner, repeated, 'D ' .. progress) end
  end

  local supersedes = policy == 'l' or policy == 'i'
  if rec.serving < rec.next then
    local full = limit >= 0 and (supersedes and limit == 0
                                 or not supersedes and waiters(rec, limit) >= limit)
    if policy == 'r' or full then
      local head = ticket_of(rec, rec.serving)
      return refuse(rec, owner, repeated, 'B ' .. int(rec.next - rec.serving) .. ' ' ..
                    int(now - head.served_at) .. ' ' .. head.owner)
    end
  end
  if buried then
    -- Its ticket is gone, or it was refused, or its owner has left, and nobody waits for the
    -- answer: a repetition may be late as well. Which of these, nobody can tell.
    commit(rec)
    return 'G ' .. int(earlier)
  end
  if supersedes and rec.serving < rec.next then supersede(rec, policy == 'i') end

  local mine = {number = rec.next, expires = now + lifetime, lifetime = lifetime, served_at = 0,
                flags = flags, owner = owner, message = message}
  rec.tickets[mine.number] = mine
  rec.next = rec.next + 1
  set(rec, 'next', int(rec.next))
  if message ~= '-' then set(rec, 'm:' .. message, int(mine.number)) end
  if repeated then bury(rec, owner, mine.number) end
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
