-- redeem: claim a ticket that was issued earlier.
-- KEYS: the record.
-- ARGV: number, secret ("-": not known), owner, lifetime (us, whole ms), flags, message ("-":
--       none; see split_message()), extras (as of take), on (which says nothing here).
-- Returns: a status as from take; "G number" when it is gone or claimed by someone else, with the reason
--       behind it if it was released, "A number number" when it was absorbed,
--       "X number" when a newer message superseded it; "G -1" when the redeeming comes too late.
function verbs.redeem(key, number, secret, owner, lifetime, flags, message, extras)
  local remember_for
  message, remember_for = split_message(message)
  local rec = load(key, number, message ~= '-' and 'm:' .. message)
  number = tonumber(number)
  if not promote(rec) then return unfinished(rec) end
  local tombstone = value_of(rec, 'x:' .. owner)
  if tombstone then
    -- Its owner left before this arrived. The ticket stays in line for whoever redeems it yet.
    local its_number, why = inscription(tombstone)
    commit(rec)
    return epitaph(its_number, why)
  end
  local mine = rec.extra1 and ticket_of(rec, number, rec.extra1)
  -- An expired ticket is gone before anybody walks past it: its message may be in line again.
  if mine and mine.expires <= now then mine = nil end
  if mine and mine.owner == owner then  -- the reply to the first attempt was lost
    local answer = status(rec, mine)
    commit(rec)
    return answer
  end
  if not mine or has(mine, 'c') or (secret ~= '-' and secret ~= mine.owner) then
    -- Why somebody else has taken it out is noted under its secret. How else it ended nobody knows.
    local why = secret ~= '-' and why_buried(rec, secret) or not mine and number < rec.below and 'X'
    commit(rec)
    return epitaph(number, why or nil)
  end
  if message ~= '-' then
    local progress = rec.extra2 ~= int(number) and progress_of(rec, message, rec.extra2)
    if progress then
      commit(rec)
      return 'D ' .. progress
    end
    -- It may have been issued for another message.
    if mine.message ~= '-' and mine.message ~= message then note_message(rec, mine, 'abandoned') end
    mine.message = message
    set(rec, 'm:' .. message, int(number))
  end
  mine.remember_for = remember_for or mine.remember_for
  mine.owner, mine.lifetime = owner, tonumber(lifetime)
  mine.flags = flags_in_place_of(mine, flags)
  mine.expires = now + mine.lifetime
  note_extras(rec, mine, extras)
  keep(rec, mine.expires + mine.lifetime, mine.lifetime)
  write(rec, mine)
  if mine.served_at == 0 then tell_listener(rec, mine) end
  local answer = status(rec, mine)
  commit(rec)
  return answer
end
