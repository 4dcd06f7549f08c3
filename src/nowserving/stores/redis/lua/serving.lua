-- Who is served, and when the line may move on.

-- The earliest moment at which a ticket from number `first` to `last` could end if it were served
-- right now; of the first few. quick.take decides the same.
local function soonest_end(rec, first, last)
  local soonest = last >= first + A_FEW and now + UNKNOWN or math.huge
  local known, texts = false, texts_of(rec, first, math.min(last, first + A_FEW - 1))
  for i = 1, #texts do
    local t = ticket_of(rec, first + i - 1, texts[i])
    if t and t.expires > now then
      local ends = restarts(t.flags) and now + t.lifetime or t.expires
      soonest = known and math.min(soonest, ends) or ends
      known = true
    end
  end
  return soonest
end

-- The first ticket in line: it is served, or it waits, since the line settles. None is while it is
-- undecided who is next.
local function head_of(rec)
  return not rec.undecided and rec.serving < rec.next and ticket_of(rec, rec.serving) or nil
end

-- The first ticket in line if it waits.
local function waits_at_head(rec)
  local head = rec.settles_until > 0 and head_of(rec)
  return head and head.served_at == 0 and head or nil
end

-- For how long the line can't move on without a push to a waiter with this number: until the ticket
-- ends that is served, or one before this waiter that is served meanwhile, of which it is not told.
local function blocked_for(rec, number)
  local head = head_of(rec)
  if not head then return 0 end
  if number == rec.serving and head.served_at == 0 then return rec.settles_until - now end
  local ends, first = head.expires, first_waiting(rec)
  if first < number then ends = math.min(ends, soonest_end(rec, first, number - 1)) end
  return ends - now
end

local RELEASED = 'G released'  -- in a tombstone

-- Why a ticket that is gone, and still stands in the hash, is gone, as a tombstone says it; nil if it
-- has expired.
local function why_marked(rec, t)
  if t.served_at == 0 and t.number < rec.below then return 'X' end
  return t.expires > now and RELEASED or nil
end

-- Why somebody else has taken the owner's ticket out, as its tombstone says it; nil if it has none, or
-- one that says nothing. If its time is over it says nothing, swept or not.
local function why_buried(rec, owner)
  local tombstone = value_of(rec, 'x:' .. owner)
  if not tombstone then return nil end
  local _, why, until_ = inscription(tombstone)
  return until_ > now and string.find(why or '', '^[XGA]') and why or nil
end

-- Why a ticket is not in line, as a tombstone says it, to its owner, who has not left; nil if nobody
-- knows. `text` is its field as it was read first: it may not be swept yet. Whatever somebody else
-- takes out has a tombstone, so any other has expired; but a number that this record never issued
-- (-1 is no ticket's) is of a time before it was lost, or began anew.
local function why_gone(rec, number, owner, text)
  local why = why_buried(rec, owner)
  if why then return why end
  if text and is_gone(rec, number) then
    local t = decode(text, number)
    local why = t.owner == owner and why_marked(rec, t)
    if why then return why end
  end
  if number < 0 then return nil end
  return number < rec.below and 'X' or number < rec.next and 'G expired' or nil
end

-- To be asked for before commit(): it may meet tickets that are to be written.
local function status(rec, t)
  if t.served_at > 0 then
    local left = int(t.expires - now)
    return (has(t, 'i') and 'I ' or 'S ') .. int(t.number) .. ' 0 ' .. left .. ' ' .. left ..
      ' ' .. int(rec.token) .. ' ' .. rec.predecessor .. (has(t, 's') and ' A' or '')
  end
  return 'W ' .. int(t.number) .. ' ' .. int(t.number - rec.serving) .. ' ' ..
    int(t.expires - now) .. ' ' .. int(blocked_for(rec, t.number)) .. ' ' .. rec.version
end

-- Take a ticket out, noting how its stay ended for its successor and for its message. Whoever left
-- before it knew that it was served has held nothing: then the successor is told of the turn before.
local function drop(rec, t, outcome)
  rec.tickets[t.number] = false
  del(rec, int(t.number))
  if t.served_at > 0 and outcome ~= 'abandoned' and rec.predecessor ~= outcome then
    rec.predecessor = outcome
    set(rec, 'predecessor', outcome)
  end
  if t.message ~= '-' then note_message(rec, t, outcome) end
  if t.has_extras then del(rec, 'e:' .. int(t.number)) end
  if has(t, 's') then del(rec, 'a:' .. int(t.number)) end
end

-- Take a ticket out for somebody else than its owner, who is told. If it has expired, that is how it
-- ended, whoever comes by. Of one that nobody has claimed only a release is noted, with its reason
-- (`why`): whoever redeems it is to be told that.
local function dismiss(rec, t, outcome, why)
  if t.expires <= now then return drop(rec, t, 'expired') end
  drop(rec, t, outcome)
  if has(t, 'c') or (why and t.owner ~= '-') then bury(rec, t.owner, t.number, why or RELEASED) end
  mail(rec, t, epitaph(t.number, why or RELEASED))
end

-- Begin the turn of a ticket.
local function serve(rec, t, joining)
  hold_back(rec, 0)
  rec.token = math.max(rec.token + 1, SEEN_TOKEN + 1, now)
  set(rec, 'token', int(rec.token))
  t.served_at = THIS_MS
  if restarts(t.flags) then t.expires = now + t.lifetime end
  keep(rec, t.expires + t.lifetime, t.lifetime)
  write(rec, t)
  if t ~= joining then mail(rec, t, status(rec, t)) end
end

-- The number of the first ticket from `first` on that lives, `next` if there is none, and how far it
-- came if the walk got too long; whether others were passed, that are left to the sweep; and whether
-- the walk is over.
local function first_live(rec, first)
  local last, passed = first + A_FEW - 1, false
  while first < rec.next do
    if effort <= 0 then return first, passed, false end
    last = math.min(last, rec.next - 1)
    local texts = texts_of(rec, first, last)
    for i = 1, #texts do
      local known, text = rec.tickets[first + i - 1], texts[i]
      if known or (text and known == nil) then
        if known and known.expires > now or not known and lives(text) then
          return first + i - 1, passed, true
        end
        passed, rec.from = true, rec.from or first + i - 1
      end
    end
    first, last = last + 1, last + PIECE
  end
  return rec.next, passed, true
end

-- Have the first live ticket served. `joining` is not told by mail: its owner gets the answer.
-- If the line settles it is not served yet; whoever becomes the first one is told for how long. Return
-- whether that is done. If it is not, whoever is before `serving` is gone, and nobody is served.
local function promote(rec, joining)
  if rec.serving >= rec.next then return true end
  local head, over, moved = ticket_of(rec, rec.serving), true, false
  if not head or head.expires <= now then
    if head then drop(rec, head, 'expired') end
    local number, passed
    number, passed, over = first_live(rec, first_waiting(rec))
    if head or passed then new_version(rec) end
    rec.serving = number
    set(rec, 'serving', int(number))
    if number >= rec.next then hold_back(rec, 0) end
    head, moved = over and number < rec.next and ticket_of(rec, number), true
  end
  rec.undecided = not over
  if head and head.served_at == 0 then
    if now >= rec.settles_until then
      serve(rec, head, joining)
    elseif moved then
      mail(rec, head, status(rec, head))
    end
  end
  left_over = left_over or not over
  return over
end
