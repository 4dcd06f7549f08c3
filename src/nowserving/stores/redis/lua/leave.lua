-- leave: give a ticket back and serve the next one.
-- KEYS: the record.
-- ARGV: number (-1: the take was never answered), owner, outcome, on.
-- fields: what quick.leave has read: the record's, and the ticket with this number.
-- Returns: "left waiting", each 0 or 1: the ticket was there and live; someone is in line now. Where
--       it was not there, behind them why, if that is known: "G reason", "X" for superseded, or "A number"
--       for absorbed.
local function leave(key, fields, number, owner, outcome, on, known)
  local rec = record(key, fields)
  number = tonumber(number)
  local left, mine, further = tonumber(string.match(on or '', '^left (%d)$')), nil, nil
  if not left then
    left = 0
    mine, further = own(rec, number, owner, rec.extra1, string.match(on or '', '^find (%d+)$'))
  end
  if mine then
    if mine.expires > now then left = 1 end
    if keep_absorbed(rec, mine) then
      write_though_full(rec)  -- nothing is deleted
    elseif left == 1 then
      drop(rec, mine, outcome)
      if outcome == 'done' then end_absorbed(rec, mine, known) end
    else
      drop(rec, mine, 'expired')
    end
  end
  if number < 0 and not on then
    -- An attempt of the take may still be on its way over a connection that is gone, also when
    -- another has issued the ticket that was found: it must find this.
    if rec.missing then
      set(rec, 'next', '0')
      set(rec, 'serving', '0')
      set(rec, 'token', '0')
      new_version(rec)
    end
    bury(rec, owner, -1)
    write_though_full(rec)
  end
  if further then return unfinished(rec, 'find ' .. int(further)) end
  if not promote(rec) then return unfinished(rec, 'left ' .. left) end
  commit(rec)
  local answer = left .. ' ' .. (rec.serving < rec.next and 1 or 0)
  local why = left == 0 and why_gone(rec, number, owner, rec.extra1)
  return why and answer .. ' ' .. why or answer
end

function verbs.leave(key, fields, number, owner, outcome, on)
  return leave(key, fields, number, owner, outcome, on)
end

-- leave_knowing: leave, `done`, after an answer of absorb was lost.
-- ARGV: number, owner, whom it knows to have absorbed (",number,number,"), on.
function verbs.leave_knowing(key, number, owner, known, on)
  return leave(key, read(key, number), number, owner, 'done', on, known)
end
