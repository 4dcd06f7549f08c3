-- renew: tell where a ticket stands, and give it a new lifetime if one is given.
-- KEYS: the record.
-- ARGV: number (-1: the take was not answered yet), owner, lifetime (us, whole ms; 0: it is not
--       renewed), on.
-- Returns: a status as from take; "G number reason" or "X number" when it is not in line any more; "G
--       number" alone if nobody knows why.
--       A ticket that is gone or expired is never brought back.
function verbs.renew(key, number, owner, lifetime, on)
  local rec = load(key, number)
  number, lifetime = tonumber(number), tonumber(lifetime)
  local mine, further = own(rec, number, owner, rec.extra1, on)
  if further then return unfinished(rec, int(further)) end
  promote(rec)
  mine = mine and ticket_of(rec, mine.number)
  if not mine or mine.expires <= now then
    commit(rec)
    return epitaph(number, why_gone(rec, number, owner, rec.extra1))
  end
  if lifetime > 0 then
    mine.expires = now + lifetime
    mine.lifetime = math.max(mine.lifetime, lifetime)
    write_though_full(rec)  -- holders must not lose their locks then
    keep(rec, mine.expires + lifetime, lifetime)
    write(rec, mine)
  end
  local answer = status(rec, mine)
  commit(rec)
  return answer
end
