-- line: the whole line of a conversation, O(line).
-- KEYS: the record.
-- ARGV: none.
-- Returns: false where the reference says that there is no lock, else a list: the next number,
--       then "number expires_in served_for owner" for each live ticket (served_for -1: it waits).
function verbs.line(key)
  local rec = load(key, 'opened')
  if rec.missing then return false end
  settle(rec)
  commit(rec)
  local found = {int(rec.next)}
  for number = rec.serving, rec.next - 1 do
    local t = ticket_of(rec, number)
    if t and t.expires > now then
      found[#found + 1] = int(number) .. ' ' .. int(t.expires - now) .. ' ' ..
        int(t.served_at > 0 and now - t.served_at or -1) .. ' ' .. t.owner
    end
  end
  if #found == 1 and not rec.extra1 then return false end
  return found
end
