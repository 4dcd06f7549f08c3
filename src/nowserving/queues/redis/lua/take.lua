-- take: join the line of a conversation.
-- KEYS: the record.
-- ARGV: owner, lifetime (us), flags ("c" claimed, "r" renewed, "-" neither), policy (q queue,
--       r reject, l latest, i interrupt), most waiters (-1: any number), message ("-": none),
--       again ("1" when an earlier attempt may have arrived).
-- Returns: a standing: "S|I number 0 expires_in blocked_for token predecessor",
--       "W number ahead expires_in blocked_for", "B ahead held_for owner", "D progress", "G -1".
function verbs.take(key, owner, lifetime, flags, policy, limit, message, again)
  local tombstone = 'x:' .. owner
  local f = read(key, tombstone, message ~= '-' and 'm:' .. message)

  -- The empty line, without anything special: one write, and every number is turned into text
  -- once. Any policy and any limit admits to an empty line.
  if f[1] and f[1] == f[2] and not f[7] and message == '-' then
    local number, life = f[1], tonumber(lifetime)
    local expires = now + life
    local token = int(math.max(whole(f[3], 'token') + 1, SEEN_TOKEN + 1, now))
    local ticket = int(expires) .. ' ' .. lifetime .. ' ' .. NOW .. ' ' .. flags .. ' ' ..
      owner .. ' -'
    local following = int(whole(number, 'next') + 1)
    if whole(f[4], 'kept_until') < expires + life then
      local kept = expires + life + life
      redis.call('HSET', key, 'next', following, 'token', token, number, ticket,
                 'kept_until', int(kept))
      redis.call('PEXPIRE', key, int(math.ceil((kept - now) / 1000)))
    else
      redis.call('HSET', key, 'next', following, 'token', token, number, ticket)
    end
    return 'S ' .. number .. ' 0 ' .. lifetime .. ' ' .. lifetime .. ' ' .. token .. ' ' ..
      (f[5] or 'none')
  end

  local rec = record(key, f)
  lifetime, limit = tonumber(lifetime), tonumber(limit)

  if rec.extra1 then  -- its owner left before this take arrived
    redis.call('HDEL', key, tombstone)
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
  end
  settle(rec, mine)
  if mine.served_at == 0 then
    write(rec, mine)
    keep(rec, mine.expires + lifetime, lifetime)
  end
  commit(rec)
  return standing(rec, mine)
end
