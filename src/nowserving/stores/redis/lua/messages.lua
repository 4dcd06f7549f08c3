-- Which messages are in line, and which are done.
--   m:<message>              a field of the record: the number of the message's ticket. (A version before
--                            also wrote "done <until> <lifetime>" here, which is still understood.)
--   <record>:done:<message>  a key of its own, in the record's slot: a hash of `until` and `lasts`, the
--                            moment until which the message is remembered as done, and for how long that
--                            was to be. So however many are remembered, and for however long, the record
--                            is not larger for it, and each goes with its own TTL.

local function done_key(rec, message)
  return rec.key .. ':done:' .. message
end

-- Remember a message from now on. Written by commit().
local function remember(rec, message, until_, lasts)
  rec.done[message] = {until_ = until_, lasts = lasts}
end

-- Remember or forget the message of a ticket that goes.
local function note_message(rec, t, outcome)
  local field = 'm:' .. t.message
  if value_of(rec, field) ~= int(t.number) then return end  -- it came again since, or was issued anew
  del(rec, field)
  if outcome == 'done' then
    local lasts = t.remember_for or t.lifetime
    remember(rec, t.message, now + lasts, lasts)
  end
end

local function is_done(rec, message)
  local found = redis.call('HMGET', done_key(rec, message), 'until', 'lasts')
  if not found[1] then return false end
  local until_, lasts = whole(found[1], 'until'), whole(found[2], 'lasts')
  if until_ > now + lasts then  -- the clock was set back, as in clamp()
    until_ = now + lasts
    remember(rec, message, until_, lasts)
  end
  -- What is over counts no more, also if its key is still there, and the clock is set back then.
  if until_ <= now then rec.done[message] = false end
  return until_ > now
end

-- How far a message is whose field reads `text`: waiting, working, done, or nil if unknown.
local function progress_of(rec, message, text)
  if not text then return is_done(rec, message) and 'done' or nil end
  local until_ = string.match(text, '^done (%d+)')
  if until_ then return tonumber(until_) > now and 'done' or nil end
  local t = ticket_of(rec, whole(text, 'm:<message>'))
  if not t or t.expires <= now then return nil end
  return t.served_at > 0 and 'working' or 'waiting'
end

-- Write what is to be remembered.
local function write_messages(rec)
  for message, done in pairs(rec.done) do
    local its_key = done_key(rec, message)
    if done then
      redis.call('HSET', its_key, 'until', int(done.until_), 'lasts', int(done.lasts))
      redis.call('PEXPIRE', its_key, int(math.ceil((done.until_ - now) / 1000)))
    else
      redis.call('HDEL', its_key, 'until', 'lasts')
    end
  end
end
