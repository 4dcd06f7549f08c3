-- What is written, and what can wait until it is.
--
-- Whatever ends many tickets at once (a newer message supersedes all waiters, the line is deleted,
-- those who died have expired) only says so: by `superseded_below`, by `serving`. From then on they
-- are gone for every decision (is_gone). They are taken out of the hash, buried and told a few at a
-- time, by each verb that comes by; and whoever is told that something is left (left_over) goes on
-- with that. Their numbers are not below `sweeping`, and below `serving` or `superseded_below`.

local COST = 9  -- microseconds, roughly, for one ticket

-- Let an empty line's numbers begin anew: order never rests on a number alone.
local function restart_at(rec, number)
  rec.next, rec.serving, rec.below = number, number, 0
  set(rec, 'next', int(number))
  set(rec, 'serving', int(number))
  del(rec, 'superseded_below')
end

-- End the lock as the reference sees it, with whoever is still in line: the next number is 0. If
-- that can't be swept at once it is when it can, unless somebody has come by then.
local function begin_anew(rec)
  rec.from, rec.anew = math.min(rec.from or rec.serving, rec.serving), rec.next
  rec.serving = rec.next
  set(rec, 'serving', int(rec.serving))
  new_version(rec)
  del(rec, 'opened')
end

-- Take out a ticket that had to leave for a newer message, and tell its owner.
local function take_superseded(rec, t)
  drop(rec, t, 'abandoned')
  if t.owner ~= '-' then bury(rec, t.owner, t.number, 'X') end
  mail(rec, t, 'X ' .. int(t.number))
end

-- Take out a ticket that is gone, and tell its owner why unless it just expired.
local function sweep_ticket(rec, t)
  if why_marked(rec, t) == 'X' then
    note_answer(rec, t)
    take_superseded(rec, t)
  else
    dismiss(rec, t, 'released')
  end
end

-- Take out what is gone, as far as this call can; rec.from is then where that goes on, if it does.
local function sweep(rec)
  local from, upto = rec.from, math.max(rec.serving, rec.below)
  while from < upto and effort > 0 do
    local last = math.min(from + PIECE, upto) - 1
    local texts = texts_of(rec, from, last)
    for i = 1, #texts do
      local known = rec.tickets[from]
      if is_gone(rec, from) and (known or (known == nil and texts[i])) then
        sweep_ticket(rec, known or decode(texts[i], from))
        effort = effort - COST
      end
      from = from + 1
      if effort <= 0 then break end
    end
  end
  if from < upto then
    left_over, rec.from = true, from
    set(rec, 'sweeping', int(from) .. ' ' .. int(rec.anew or -1))
    return
  end
  del(rec, 'sweeping')
  if rec.anew == rec.next and rec.serving == rec.next then restart_at(rec, 0) end
  rec.from, rec.anew = nil, nil
end

-- redis.call with a list of any length: unpack() has a limit of some thousand values.
local function call_in_chunks(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end

-- Write all that changed. HDEL goes first: it is allowed when the server is out of memory, and
-- once a script has written, so is the HSET that follows. A ticket can always be given back.
-- PUBLISH goes last and protected: an ACL may deny it, and what was written stands.
local function commit(rec)
  if rec.serving >= rec.next then hold_back(rec, 0) end
  if rec.from then sweep(rec) end
  write_answers(rec)
  if rec.graves then tend_graves(rec) end
  local dels, sets = {}, {}
  for field, value in pairs(rec.changes) do
    if value then
      sets[#sets + 1] = field
      sets[#sets + 1] = value
    else
      dels[#dels + 1] = field
    end
  end
  call_in_chunks('HDEL', rec.key, dels)
  call_in_chunks('HSET', rec.key, sets)
  write_messages(rec)
  if rec.kept then
    redis.call('PEXPIRE', rec.key, int(math.ceil((rec.kept_until - now) / 1000)))
  end
  for i = 1, #rec.mail do redis.pcall('PUBLISH', rec.mail[i][1], rec.mail[i][2]) end
end

-- End a verb that has to be said again, with `on` behind its arguments: it was too much for one call.
local function unfinished(rec, on)
  commit(rec)
  return '?' .. (on or '')
end
