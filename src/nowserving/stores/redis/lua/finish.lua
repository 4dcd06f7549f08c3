-- finish: remove a ticket by its number, as the reference's finish_serving and cleanup do.
-- KEYS: the record.
-- ARGV: number, secret ("-": not known), keep ("1": an empty line is still a lock afterwards; "0":
--       it is none, and its numbers begin anew at 0), nonce (what the caller's own owners have
--       before their "~"), on (which says nothing here).
-- Returns: "1" when a live ticket is in line afterwards, else "0". A number alone removes only
--       a ticket that nobody claimed or that is the caller's own.
function verbs.finish(key, number, secret, keeps, nonce)
  local rec = load(key, number)
  if rec.missing then return '0' end
  number = tonumber(number)
  local t = rec.extra1 and ticket_of(rec, number, rec.extra1)
  local may = t and t.owner == secret
  if t and secret == '-' then
    may = not has(t, 'c') or string.match(t.owner, '^([^~]+)~') == nonce
  end
  if may then
    dismiss(rec, t, 'done')
    new_version(rec)
  end
  if not promote(rec) then return unfinished(rec) end
  local waiting = rec.serving < rec.next
  if not waiting then
    if keeps == '1' then
      set(rec, 'opened', '1')
    else
      begin_anew(rec)
    end
  end
  commit(rec)
  return waiting and '1' or '0'
end
