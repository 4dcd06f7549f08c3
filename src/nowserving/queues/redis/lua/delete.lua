-- delete: remove every ticket of a conversation and tell their owners.
-- KEYS: the record.
-- ARGV: none.
-- Returns: "ok". The record keeps its counters (the fencing token above all) until its TTL.
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
