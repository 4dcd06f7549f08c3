-- release: take a ticket out, whoever has it, and tell its owner.
-- KEYS: the record.
-- ARGV: number, owner ("-": nobody), why (as a tombstone says it: "G released:reason"), on (which says
--       nothing here).
-- Returns: "1" if it was there, or was taken out by an earlier attempt; else "0".
function verbs.release(key, number, owner, why, on)
  local rec = load(key, number)
  if rec.missing then return '0' end
  local text, released = rec.extra1, on == 'released'
  if not promote(rec) then return unfinished(rec, on) end
  if not released then
    local t = text and ticket_of(rec, tonumber(number), text)
    if t and t.owner == owner and t.expires > now then
      dismiss(rec, t, 'released', why)
      new_version(rec)
      released = true
      write_though_full(rec)
      if not promote(rec) then return unfinished(rec, 'released') end
    else
      local known = why_gone(rec, tonumber(number), owner, text)
      released = string.find(known or '', '^G released:') ~= nil
    end
  end
  commit(rec)
  return released and '1' or '0'
end
