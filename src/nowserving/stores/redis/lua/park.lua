-- park: leave a redeemed ticket in line, to be redeemed once more.
-- KEYS: the record.
-- ARGV: number, owner (who has redeemed it, or tried to), secret (the ticket's from now on; "-": none),
--       lifetime (us, whole ms), on (which says nothing here).
-- Returns: a status as from take; "G number reason" or "X number" when it is not in line any more; "G
--       number" alone if nobody knows why, or somebody else has redeemed it since.
function verbs.park(key, number, owner, secret, lifetime)
  local rec = load(key, number)
  if rec.missing then return epitaph(number) end
  number, lifetime = tonumber(number), tonumber(lifetime)
  if not promote(rec) then return unfinished(rec) end
  local mine = rec.extra1 and ticket_of(rec, number, rec.extra1)
  if not mine or mine.expires <= now then
    commit(rec)
    return epitaph(number, why_gone(rec, number, owner, rec.extra1))
  end
  local why = mine.owner ~= owner and why_buried(rec, owner)
  if why then  -- so the number is somebody else's by now
    commit(rec)
    return epitaph(number, why)
  end
  if mine.owner == owner then
    mine.owner, mine.flags = secret, flags_in_place_of(mine, '-')
  elseif has(mine, 'c') or (secret ~= '-' and secret ~= mine.owner) then
    commit(rec)
    return epitaph(number)
  end
  -- Else it was parked before, or its redeeming has not arrived. One that comes from here on would
  -- claim the place for nobody.
  bury(rec, owner, number)
  mine.expires, mine.lifetime = now + lifetime, math.max(mine.lifetime, lifetime)
  write_though_full(rec)
  keep(rec, mine.expires + lifetime, lifetime)
  write(rec, mine)
  local answer = status(rec, mine)
  commit(rec)
  return answer
end
