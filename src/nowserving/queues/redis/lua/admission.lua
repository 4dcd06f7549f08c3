-- What only `take` and `redeem` need: who is in line already, and who has to leave it.

-- How many live tickets wait, counted only when there may be `limit` of them.
local function waiters(rec, limit)
  if rec.next - rec.serving - 1 < limit then return 0 end
  local count = 0
  for number = rec.serving + 1, rec.next - 1 do
    local t = ticket_of(rec, number)
    if t and t.expires > now then count = count + 1 end
  end
  return count
end

-- Every waiter leaves for the ticket that is about to be issued; with `interrupt` the holder is
-- asked to. Each waiter is superseded once, so the walk is paid for by its own take. It is buried:
-- if the reply to that take was lost, its repetition must neither join anew nor supersede this one.
local function supersede(rec, interrupt)
  for number = math.max(rec.serving + 1, rec.below), rec.next - 1 do
    local t = ticket_of(rec, number)
    if t then
      drop(rec, t, 'abandoned')
      if t.owner ~= '-' then bury(rec, t.owner, number) end
      mail(rec, t, 'X ' .. int(number))
    end
  end
  rec.below = rec.next
  new_mark(rec)
  set(rec, 'superseded_below', int(rec.below))
  local head = interrupt and ticket_of(rec, rec.serving)
  if head and not has(head, 'i') then
    head.flags = (head.flags == '-' and '' or head.flags) .. 'i'
    write(rec, head)
    mail(rec, head, standing(rec, head))
  end
end

-- How far the message is whose field reads `text`: waiting, working, done, or nil if unknown.
local function progress_of(rec, text)
  if not text then return nil end
  local until_ = string.match(text, '^done (%d+)$')
  if until_ then return tonumber(until_) > now and 'done' or nil end
  local t = ticket_of(rec, whole(text, 'm:<message>'))
  if not t or t.expires <= now then return nil end
  return t.served_at > 0 and 'working' or 'waiting'
end

-- Forget messages whose time is over, a few at each take: a conversation that is never idle
-- must not grow for ever.
local function sweep_messages(rec)
  local at = redis.call('HGET', rec.key, 'remembered')
  if not at then return end
  local number = whole(at, 'remembered')
  for _ = 1, 16 do
    if number >= rec.serving then break end
    local message = redis.call('HGET', rec.key, 'd:' .. int(number))
    if message then
      local text = redis.call('HGET', rec.key, 'm:' .. message)
      if text and progress_of(rec, text) == 'done' then break end
      del(rec, 'd:' .. int(number))
      if text and string.sub(text, 1, 4) == 'done' then del(rec, 'm:' .. message) end
    end
    number = number + 1
  end
  set(rec, 'remembered', int(number))
end
