-- delete: remove every ticket of a conversation and tell their owners.
-- KEYS: the record.
-- ARGV: none.
-- Returns: "ok". The record keeps its fencing token until its TTL, and messages stay remembered; its numbers
-- begin anew at 0.
-- Repeated because its reply was lost, it also removes what was issued since the first attempt.
-- Nobody knows the number up to which that one came, or whether it came at all; and one that is
-- made once but arrives a little later does the same. The owners are told.
function verbs.delete(key)
  local rec = load(key)
  if rec.missing then return 'ok' end
  local head = head_of(rec)
  if head then dismiss(rec, head, 'released') end
  begin_anew(rec)
  commit(rec)
  return 'ok'
end
