-- superseded: tell a ticket's owner for which messages it answers (answers.lua).
-- KEYS: the record.
-- ARGV: number, owner, on (which says nothing here).
-- Returns: how many they are, then a line for each of the first 1,000: its number, and its message id as
--       the client wrote it in its extras ("-" if it has none).
function verbs.superseded(key, number, owner)
  local rec = load(key, number)
  if rec.from then return unfinished(rec) end  -- some may not be noted yet
  local mine = own(rec, tonumber(number), owner, rec.extra1)
  commit(rec)
  return mine and value_of(rec, 'a:' .. number) or '0'
end
