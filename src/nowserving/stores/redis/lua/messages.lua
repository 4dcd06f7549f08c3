-- Which messages are in line, and which are done.
--   m:<message>   the number of its ticket, or "done <until> <lifetime>": it is remembered for one
--                 lifetime of that ticket (a version before did not write the lifetime)
--   d:<i>         the message that was the i-th to be finished
--   remembered    "first next": the lowest i that may still be there, and the next one. Not the
--                 tickets' numbers, which may begin anew. Alone, "first" is of a version that
--                 counted by them.

local SWEPT_MESSAGES = 16

local function remembered_of(rec)
  if not rec.remembered then
    local text = value_of(rec, 'remembered') or '0 0'
    local first, next_ = string.match(text, '^(%d+) ?(%d*)$')
    rec.remembered = {
      first = whole(first, 'remembered'),
      next = next_ == '' and rec.next or whole(next_, 'remembered'),
    }
  end
  return rec.remembered
end

local function note_remembered(rec, remembered)
  if remembered.first < remembered.next then
    set(rec, 'remembered', int(remembered.first) .. ' ' .. int(remembered.next))
  else
    del(rec, 'remembered')
  end
end

-- Remember or forget the message of a ticket that goes.
local function note_message(rec, t, outcome)
  local field = 'm:' .. t.message
  if value_of(rec, field) ~= int(t.number) then return end  -- it came again since, or was issued anew
  if outcome == 'done' then
    local remembered = remembered_of(rec)
    set(rec, field, 'done ' .. int(now + t.lifetime) .. ' ' .. int(t.lifetime))
    set(rec, 'd:' .. int(remembered.next), t.message)
    remembered.next = remembered.next + 1
    note_remembered(rec, remembered)
    keep(rec, now + t.lifetime, t.lifetime)
  else
    del(rec, field)
  end
end

-- How far a message is whose field reads `text`: waiting, working, done, or nil if unknown.
local function progress_of(rec, message, text)
  if not text then return nil end
  local until_, lifetime = string.match(text, '^done (%d+) ?(%d*)$')
  if until_ then
    until_, lifetime = tonumber(until_), tonumber(lifetime)
    if lifetime and until_ > now + lifetime then  -- the clock was set back, as in clamp()
      until_ = now + lifetime
      set(rec, 'm:' .. message, 'done ' .. int(until_) .. ' ' .. int(lifetime))
    end
    return until_ > now and 'done' or nil
  end
  local t = ticket_of(rec, whole(text, 'm:<message>'))
  if not t or t.expires <= now then return nil end
  return t.served_at > 0 and 'working' or 'waiting'
end

-- Forget messages whose time is over, a few at each take: a conversation that is never idle
-- must not grow for ever.
local function sweep_messages(rec)
  local remembered = remembered_of(rec)
  if remembered.first >= remembered.next then return end
  for _ = 1, SWEPT_MESSAGES do
    if remembered.first >= remembered.next then break end
    local slot = 'd:' .. int(remembered.first)
    local message = value_of(rec, slot)
    if message then
      local text = value_of(rec, 'm:' .. message)
      if text and progress_of(rec, message, text) == 'done' then break end
      del(rec, slot)
      if text and string.sub(text, 1, 4) == 'done' then del(rec, 'm:' .. message) end
    end
    remembered.first = remembered.first + 1
  end
  note_remembered(rec, remembered)
end
