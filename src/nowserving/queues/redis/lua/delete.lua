-- delete: remove every ticket of a conversation and tell their owners.
-- KEYS: the record.
-- ARGV: none.
-- Returns: "ok". The record keeps its counters (the fencing token above all) until its TTL.
-- Repeated because its reply was lost, it also removes what was issued since the first attempt.
-- Nobody knows the number up to which that one came, or whether it came at all; and one that is
-- made once but arrives a little later does the same. The owners are told.
function verbs.delete(key)
  local rec = load(key)
  if rec.missing then return 'ok' end
  for number = rec.serving, rec.next - 1 do
    local t = ticket_of(rec, number)
    if t then
      drop(rec, t, 'released')
      mail(rec, t, 'G ' .. int(number))
    end
  end
  rec.serving = rec.next
  new_mark(rec)
  set(rec, 'serving', int(rec.serving))
  del(rec, 'opened')
  commit(rec)
  return 'ok'
end
