-- Tombstones: whose take is not to be carried out any more when its first attempt comes late.
--
-- A take whose connection broke is sent again, or given up and left by its owner. What was written
-- to the broken connection may still be on its way, in a kernel or a proxy, and arrive when the
-- repeated one is served, or its turn is over. It would then issue a ticket that nobody holds, and
-- everybody behind it would wait for its lifetime. So whoever knows that an attempt may be on its
-- way buries its owner:
--   take       when it is a repetition, whatever it is answered
--   leave      by owner alone: the take was never answered
--   supersede  the waiters: it is not the late attempt here that does harm but a repetition, which
--              would find no ticket, join anew, and supersede the very message it had to leave for
-- A tombstone stays for as long as an attempt may be late (LATE), also after it refused one: there
-- may be several. Then it is swept, a few whenever another is made or a take comes by, so that a
-- record that is never idle does not grow. Nothing has to be searched for that:
--   x:<owner>   "<until> <number>": the number that the owner's ticket had, -1 if it is not known.
--               Other text is of a version that never swept: until then, and of what, is unknown.
--   g:<i>       the owner who was buried as the i-th; once more if that happened once more
--   graves      "first next due": the i of the oldest and of the next one, and until when the
--               oldest stays; gone with the last of them

local LATE = tonumber(ARGV[3])
local SWEPT_AT_ONCE = 4  -- each takes one away that is made, and some that were left over

-- Until when a tombstone stays, and the number in it.
local function inscription(text)
  local until_, number = string.match(text, '^(%d+) (%-?%d+)$')
  return tonumber(until_ or 0), tonumber(number or -1)
end

local function graves_of(rec)
  if not rec.graves then
    local text = redis.call('HGET', rec.key, 'graves') or '0 0 0'
    local first, next_, due = string.match(text, '^(%d+) (%d+) (%d+)$')
    rec.graves = {
      first = whole(first, 'graves'), next = whole(next_, 'graves'), due = whole(due, 'graves'),
    }
  end
  return rec.graves
end

local function note_graves(rec, graves)
  if graves.first >= graves.next then
    del(rec, 'graves')
  else
    set(rec, 'graves', int(graves.first) .. ' ' .. int(graves.next) .. ' ' .. int(graves.due))
  end
end

-- Forget the oldest tombstones whose time is over.
local function sweep_graves(rec)
  local graves = graves_of(rec)
  if graves.first >= graves.next or graves.due > now then return end
  for _ = 1, SWEPT_AT_ONCE do
    if graves.first >= graves.next then break end
    local place = 'g:' .. int(graves.first)
    local stone = 'x:' .. (value_of(rec, place) or '')
    local text = value_of(rec, stone)
    if text then
      graves.due = inscription(text)
      if graves.due > now then break end
      del(rec, stone)
    end
    del(rec, place)
    graves.first = graves.first + 1
  end
  note_graves(rec, graves)
end

-- From now on no first attempt of the owner's take is carried out. `number` is its ticket's.
local function bury(rec, owner, number)
  sweep_graves(rec)
  local graves, ends = graves_of(rec), now + LATE
  if graves.first >= graves.next then graves.due = ends end
  set(rec, 'x:' .. owner, int(ends) .. ' ' .. int(number))
  set(rec, 'g:' .. int(graves.next), owner)
  graves.next = graves.next + 1
  note_graves(rec, graves)
  keep(rec, ends, LATE)
end
