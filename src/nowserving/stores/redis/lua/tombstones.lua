-- Tombstones: whose take is not to be carried out any more when its first attempt comes late.
--
-- A take whose connection broke is sent again, or given up and left by its owner. What was written
-- to the broken connection may still be on its way, in a kernel or a proxy, and arrive when the
-- repeated one is served, or its turn is over. It would then issue a ticket that nobody holds, and
-- everybody behind it would wait for its lifetime. So whoever knows that an attempt may be on its
-- way buries its owner:
--   take       when it is a repetition, whatever it is answered
--   leave      by owner alone: the take was never answered
--   park       a redeeming that comes late would claim the place again, for nobody
--   whoever    takes out somebody else's ticket (dismiss(), the sweep); under its secret one that can
--              be redeemed: it is not the late attempt
--              here that does harm but a repetition, which would find no ticket, and join anew; one
--              that was superseded would supersede the very message it had to leave for. This one
--              also tells the owner why the ticket is gone, if the notice was lost
-- A tombstone stays for as long as an attempt may be late (LATE), also after it refused one: there
-- may be several. Then it is swept, a few whenever another is made or a take comes by, so that a
-- record that is never idle does not grow. Nothing has to be searched for that:
--   x:<owner>   "<until> <number> <late> <why>": the number that the owner's ticket had, -1 if it
--               had none, -2 while it is still sought; for how long it stays, in all; why is X if
--               the ticket was superseded, "A <holder's number>" if it was absorbed, "G <reason>" if it
--               was taken out otherwise, else "-".
--               A version before wrote less, or other text: that is as good as -1 for a take that
--               comes late.
--   g:<i>       the owner who was buried as the i-th; once more if that happened once more
--   graves      "first next due": the i of the oldest and of the next one, and until when the
--               oldest stays; gone with the last of them

local LATE = tonumber(ARGV[3])
local SWEPT_AT_ONCE = 4  -- each takes one away that is made, and some that were left over

local STILL_SOUGHT = -2

-- The number in a tombstone, why it is there, until when it stays, and for how long it was to.
local function inscription(text)
  local until_, number, late, why = string.match(text, '^(%d+) (%-?%d+) ?(%d*) ?(.*)$')
  return tonumber(number or -1), why, tonumber(until_ or 0), tonumber(late)
end

-- What the owner is told whose tombstone says `why`.
local function epitaph(number, why)
  local state, reason = string.match(why or '', '^([XGA])(.*)$')
  return (state or 'G') .. ' ' .. int(number) .. (reason or '')
end

local function inscribe(rec, owner, until_, number, late, why)
  set(rec, 'x:' .. owner, int(until_) .. ' ' .. int(number) .. ' ' .. int(late) .. ' ' .. why)
end

local function graves_of(rec)
  if not rec.graves then
    local text = redis.call('HGET', rec.key, 'graves') or '0 0 0'
    local first, next_, due = string.match(text, '^(%d+) (%d+) (%d+)$')
    rec.graves = {
      first = whole(first, 'graves'), next = whole(next_, 'graves'), due = whole(due, 'graves'),
      made = 0,
    }
  end
  return rec.graves
end

-- From now on no first attempt of the owner's take is carried out. `number` is its ticket's.
local function bury(rec, owner, number, why)
  local graves, ends = graves_of(rec), now + LATE
  if graves.first >= graves.next then graves.due = ends end
  inscribe(rec, owner, ends, number, LATE, why or '-')
  set(rec, 'g:' .. int(graves.next), owner)
  graves.next, graves.made = graves.next + 1, graves.made + 1
  keep(rec, ends, LATE)
end

-- Until when the tombstone of `owner` stays that reads `text`. If it is longer than it was to stay,
-- the clock was set back, as in clamp().
local function stays_until(rec, owner, text)
  local number, why, until_, late = inscription(text)
  if late and until_ > now + late then
    until_ = now + late
    inscribe(rec, owner, until_, number, late, why)
  end
  return until_
end

-- Forget the oldest tombstones whose time is over, and note what graves_of() has been told. By
-- commit().
local function tend_graves(rec)
  local graves = rec.graves
  local left, first, due = SWEPT_AT_ONCE + 2 * graves.made, graves.first, graves.due
  -- One that is due later than any that is made now was made with another LATE, or before the clock
  -- was set back: the stone itself knows.
  while left > 0 and graves.first < graves.next and
      (graves.due <= now or graves.due > now + LATE) do
    local slot = 'g:' .. int(graves.first)
    local owner = value_of(rec, slot) or ''
    local text = value_of(rec, 'x:' .. owner)
    if text then
      graves.due = stays_until(rec, owner, text)
      if graves.due > now then break end
      del(rec, 'x:' .. owner)
    end
    del(rec, slot)
    graves.first, left = graves.first + 1, left - 1
  end
  if graves.made == 0 and graves.first == first and graves.due == due then return end
  if graves.first < graves.next then
    set(rec, 'graves', int(graves.first) .. ' ' .. int(graves.next) .. ' ' .. int(graves.due))
  else
    del(rec, 'graves')
  end
end
