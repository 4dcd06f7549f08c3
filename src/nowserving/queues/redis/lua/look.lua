-- look: tell how a line stands, and of many of its tickets those that do not merely wait.
-- KEYS: the record.
-- ARGV: number and owner of each ticket that is asked about (some hundreds at the most).
-- Returns: a list: the number served, how long that ticket lives (us), then a standing for each
--       ticket that is served, interrupted or gone. A waiter that goes on waiting costs nothing
--       in the reply: with a thousand of them that is the usual answer.
function verbs.look(key, ...)
  local rec = load(key)
  if not rec.missing then settle(rec) end
  commit(rec)
  local head = ticket_of(rec, rec.serving)
  local found = {int(rec.serving), int(head and head.expires - now or 0)}

  local asked, numbers = {...}, {}
  for i = 1, #asked, 2 do numbers[#numbers + 1] = asked[i] end
  local texts = #numbers > 0 and redis.call('HMGET', key, unpack(numbers)) or {}
  for i, number in ipairs(numbers) do
    local text, owner = texts[i], asked[2 * i]
    local t = text and string.find(text, ' ' .. owner .. ' ', 1, true) and text
    if not t or tonumber(string.match(t, '^%d+')) <= now then
      found[#found + 1] = (tonumber(number) < rec.below and 'X ' or 'G ') .. number
    elseif head and tonumber(number) == head.number then
      found[#found + 1] = standing(rec, head)
    end
  end
  return found
end
