-- sweep: go on with what another verb has left over (sweeping.lua).
-- KEYS: the record.
-- ARGV: none.
-- Returns: "ok".
function verbs.sweep(key)
  local rec = load(key)
  promote(rec)
  commit(rec)
  return 'ok'
end
