-- poll: tell how a line stands, and of some of its tickets those that do not merely wait.
-- KEYS: the record.
-- ARGV: number and owner of each ticket that is asked about (some hundreds at the most).
-- Returns: a list: the number served, for how long the last of those asked about is blocked (us; see
--       blocked_for()), the record's version, the owner and the status of the ticket served ("-" when
--       nobody is), then for each ticket asked about that is interrupted, gone or served its index
--       among them (from 0) and its status.
--       A waiter that goes on waiting costs nothing in the reply. And it need not be asked about
--       again while the version is the same, until it may have expired, as long as some ticket with
--       a higher number is still there: so polling for a thousand is as cheap as for one.
function verbs.poll(key, ...)
  local rec = load(key)
  local asked, numbers, last = {...}, {}, 0
  for i = 1, #asked, 2 do
    numbers[#numbers + 1] = asked[i]
    last = math.max(last, tonumber(asked[i]))
  end
  promote(rec)
  local head, blocked = head_of(rec), blocked_for(rec, last)
  if waits_at_head(rec) then  -- maybe one of these: they are told together
    head, blocked = nil, math.min(blocked, rec.settles_until - now)
  end
  local found = {int(rec.serving), int(blocked), rec.version, head and head.owner or '-',
                 head and status(rec, head) or '-'}
  commit(rec)

  local texts = #numbers > 0 and redis.call('HMGET', key, unpack(numbers)) or {}
  for i, number in ipairs(numbers) do
    local text, owner, which = texts[i], asked[2 * i], i - 1 .. ' '
    number = tonumber(number)
    local t = text and string.find(text .. ' ', ' ' .. owner .. ' ', 1, true) and text
    if not t or not lives(t) or is_gone(rec, number) then
      found[#found + 1] = which .. epitaph(number, why_gone(rec, number, owner, text))
    elseif head and number == head.number then
      found[#found + 1] = which .. status(rec, head)
    end
  end
  return found
end
