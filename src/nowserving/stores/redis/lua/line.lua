-- line: the line of a conversation, in pieces.
-- KEYS: the record.
-- ARGV: the number from which on to tell (-1: from the first), how many numbers to look at (some hundred,
--       if it is not said), on (which says nothing here).
-- Returns: false where the reference says that there is no lock, else a list: the next number, the
--       number to go on with (-1: that was all), then for each live ticket "number expires_in
--       served_for owner waited label message_id" (us; served_for -1: it waits; waited -1: not known;
--       the last two as in e:<number>), and behind them what it is of "unclaimed", "absorbed",
--       "settling".
local PAGE = 500

local function state_of(rec, t)
  local state = has(t, 'c') and '' or ' unclaimed'
  if t.served_at > 0 then return state end
  if marked_by(t) == rec.serving then return state .. ' absorbed' end
  return now < rec.settles_until and state .. ' settling' or state
end

function verbs.line(key, from, most)
  local rec = load(key, 'opened')
  if rec.missing then return false end
  if not promote(rec) then return unfinished(rec) end
  local found = {int(rec.next), '-1'}
  local first = math.max(tonumber(from or -1), rec.serving)
  local last = math.min(first + (tonumber(most) or PAGE), rec.next) - 1
  while first <= last do
    local texts = texts_of(rec, first, math.min(first + PIECE - 1, last))
    for i = 1, #texts do
      local t = ticket_of(rec, first + i - 1, texts[i])
      if t and t.expires > now then
        found[#found + 1] = int(t.number) .. ' ' .. int(t.expires - now) .. ' ' ..
          int(t.served_at > 0 and now - t.served_at or -1) .. ' ' .. t.owner ..
          ' ' .. int(t.joined > 0 and t.served_at == 0 and math.max(now - t.joined, 0) or -1) ..
          ' ' .. extras_of(rec, t) .. state_of(rec, t)
      end
    end
    first = first + #texts
  end
  if first < rec.next then found[2] = int(first) end
  commit(rec)
  if #found == 2 and rec.serving >= rec.next and not rec.extra1 then return false end
  return found
end
