-- take: join the line of a conversation.
-- KEYS: the record.
-- ARGV: owner, lifetime (us, whole ms), flags ("c" claimed, "r" renewed, "-" neither), policy
--       (q queue, r reject, l latest, i interrupt, d queue, and where it is full the oldest leaves; with
--       "~settle~settle_max" behind it, in us, and empty where there is no such limit), most
--       waiters (-1: any number), message ("-": none; see split_message()), extras ("label
--       message_id", each "-" if there is none; "-" for neither), again ("1" when an earlier attempt
--       may have arrived, or may still be on its way), on.
-- fields: what quick.take has read: the record's, the owner's tombstone, the message's.
-- Returns: a status: "S|I number 0 expires_in blocked_for token predecessor", and " A"
--       behind it if it answers for others (superseded.lua);
--       "W number ahead expires_in blocked_for version", "B ahead held_for owner", "D progress";
--       "G -1" when it comes too late; when it is repeated and its ticket is gone, "G number", or
--       "X number" if a newer message superseded it.

-- The ticket of a repeated take, or nil; and as it stands in the hash. Its tombstone knows the number,
-- or that there is none, but for the one that is made while it is still looked for. Third is where
-- that goes on, if it does.
local function earlier_one(rec, owner, number, on)
  if number == STILL_SOUGHT then
    if on and string.sub(on, 1, 5) == 'count' then return nil end  -- it was not found
    return find(rec, owner, tonumber(string.match(on or '', '^find (%d+)$')))
  end
  local text = number >= 0 and redis.call('HGET', rec.key, number)
  local t = text and decode(text, number)
  if t and t.owner == owner then return ticket_of(rec, number, text), t end
end

-- Say it again. Meanwhile no attempt may come in between.
local function go_on(rec, owner, repeated, on)
  if repeated then
    if not rec.extra1 then bury(rec, owner, STILL_SOUGHT) end
    write_though_full(rec)
  end
  return unfinished(rec, on)
end

-- Answer that nothing is issued. A repeated take is buried first: its earlier attempts may come
-- when the conversation is free. `number` is that in its tombstone.
local function refuse(rec, owner, repeated, number, answer)
  if repeated then
    if number == STILL_SOUGHT then bury(rec, owner, -1) end
    write_though_full(rec)
  end
  commit(rec)
  return answer
end

function verbs.take(key, fields, owner, lifetime, flags, policy, limit, message, extras, again, on)
  local rec = record(key, fields)
  lifetime, limit = tonumber(lifetime), tonumber(limit)
  local remember_for
  message, remember_for = split_message(message)
  local settle, settle_max
  policy, settle, settle_max = string.match(policy, '^(%a)~?(%d*)~?(%d*)$')
  settle, settle_max = tonumber(settle), tonumber(settle_max)
  local repeated = again == '1'

  -- Its owner has left, or a later attempt has arrived before this one.
  if rec.extra1 and not repeated then return 'G -1' end
  local plain = policy == 'q' and not settle and limit < 0 and message == '-' and not repeated
  if not promote(rec) and not plain then return unfinished(rec, on) end
  graves_of(rec)  -- some of the old ones go
  local number, why = STILL_SOUGHT, nil
  if repeated then
    -- The reply to an earlier attempt was lost, maybe with the ticket issued: it keeps its place.
    if rec.extra1 then number, why = inscription(rec.extra1) end
    local mine, found, below = earlier_one(rec, owner, number, on)
    if below then return go_on(rec, owner, repeated, 'find ' .. int(below)) end
    if mine and mine.expires <= now then  -- nobody may have two
      drop(rec, mine, 'expired')
    elseif mine then
      if number ~= mine.number then bury(rec, owner, mine.number) end
      write_though_full(rec)
      local answer = status(rec, mine)
      commit(rec)
      return answer
    end
    local marked = found and is_gone(rec, found.number) and why_marked(rec, found)
    if marked then number, why = found.number, marked end
    if why and why ~= '-' then  -- somebody else has taken it out
      commit(rec)
      return epitaph(number, why)
    end
  end
  if message ~= '-' then
    local progress = progress_of(rec, message, rec.extra2)
    if progress then return refuse(rec, owner, repeated, number, 'D ' .. progress) end
  end

  local supersedes, full = policy == 'l' or policy == 'i', false
  if rec.serving < rec.next then
    local further
    full = limit == 0 and (supersedes or policy == 'd')
    if limit >= 0 and not supersedes and not full then
      full, further = is_full(rec, limit, string.match(on or '', '^count (.*)$'))
      if further then return go_on(rec, owner, repeated, 'count ' .. further) end
    end
    if policy == 'r' or (full and (policy ~= 'd' or limit == 0)) then
      local head = ticket_of(rec, rec.serving)
      return refuse(rec, owner, repeated, number, 'B ' .. int(rec.next - rec.serving) .. ' ' ..
                    int(head.served_at > 0 and now - head.served_at or 0) .. ' ' ..
                    (has(head, 'c') and head.owner ~= '-' and head.owner or ''))
    end
  end
  if number ~= STILL_SOUGHT then
    -- Its ticket is gone, or it was refused, or its owner has left, and nobody waits for the
    -- answer: a repetition may be late as well. Which of these, nobody can tell.
    commit(rec)
    return 'G ' .. int(number)
  end
  if supersedes and (rec.serving < rec.next or on == 'count clear') and
      not clear_line(rec, policy == 'i', on == 'count clear') then
    return go_on(rec, owner, repeated, 'count clear')
  end
  if full then
    local further, left = drop_oldest(rec)
    if further then
      return go_on(rec, owner, repeated, 'count ' .. int(further) .. ' ' .. left)
    end
  end
  if settle then
    if now >= rec.settles_until then rec.burst_since = now end
    local ends = settle_max and rec.burst_since + settle_max or math.huge
    hold_back(rec, math.min(now + settle, ends), rec.burst_since)
  elseif supersedes or rec.serving >= rec.next then
    hold_back(rec, 0)
  end

  -- What is not swept yet may be somebody for whom it answers.
  if rec.winner == rec.next and (rec.answers or rec.from) then
    flags = (flags == '-' and '' or flags) .. 's'
  end
  local mine = {number = rec.next, expires = now + lifetime, lifetime = lifetime, served_at = 0,
                joined = now, flags = flags, owner = owner, message = message,
                remember_for = remember_for}
  rec.tickets[mine.number] = mine
  note_extras(rec, mine, extras)
  rec.next = rec.next + 1
  set(rec, 'next', int(rec.next))
  if message ~= '-' then
    set(rec, 'm:' .. message, int(mine.number))
  end
  if repeated then bury(rec, owner, mine.number) end
  if rec.missing then
    set(rec, 'serving', '0')
    set(rec, 'token', '0')
    new_version(rec)
  end
  promote(rec, mine)
  if mine.served_at == 0 then
    write(rec, mine)
    keep(rec, mine.expires + lifetime, lifetime)
    tell_listener(rec, mine)
  end
  local answer = status(rec, mine)
  commit(rec)
  return answer
end
