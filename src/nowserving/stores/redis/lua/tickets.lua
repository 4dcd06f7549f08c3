-- A record's tickets: read, found, written.

-- The message in an argument or a ticket, and for how long it is to be remembered, nil for the ticket's
-- lifetime: "<message>" or "<message>~<milliseconds>".
local function split_message(text)
  local message, lasts = string.match(text, '^([^~]*)~?(%d*)$')
  return message, lasts ~= '' and lasts * 1000 or nil
end

-- A ticket is gone when the line is past it, or when a newer message has superseded it. What is
-- gone may still stand in the hash: it is swept a few at a time (sweeping.lua). Nothing but the
-- sweep may look at it.
local function is_gone(rec, number)
  return number < rec.serving or (number > rec.serving and number < rec.below)
end

local function first_waiting(rec)
  return math.max(rec.serving + 1, rec.below)
end

local function decode(text, number)
  local expires, lifetime, served_at, flags, owner, message =
    string.match(text, '^(%d+) (%d+) (%-?%d+) (%S+) (%S+) ?(%S*)$')
  if not expires then corrupt('its ticket ' .. int(number) .. ' is not readable') end
  local joined = 0
  if string.byte(served_at) == 45 then
    joined, served_at = -served_at * 10000, 0
  elseif served_at == '0' then
    joined = expires - lifetime * 1000
  end
  local has_extras, remember_for = message ~= '', nil
  message, remember_for = split_message(message)
  return {
    number = number, expires = tonumber(expires), lifetime = lifetime * 1000,
    served_at = served_at * 1000, joined = joined, flags = flags, owner = owner,
    message = message ~= '' and message ~= '.' and message or '-', remember_for = remember_for,
    has_extras = has_extras,
  }
end

local function write(rec, t)
  rec.tickets[t.number] = t
  local since = t.served_at > 0 and int(math.floor(t.served_at / 1000)) or
    t.joined == t.expires - t.lifetime and '0' or '-' .. int(math.floor(t.joined / 10000))
  local message = t.message ~= '-' and t.message or t.has_extras and '.'
  if t.message ~= '-' and t.remember_for then
    message = message .. '~' .. int(t.remember_for / 1000)
  end
  set(rec, int(t.number), int(t.expires) .. ' ' .. int(math.ceil(t.lifetime / 1000)) .. ' ' ..
      since .. ' ' .. t.flags .. ' ' .. t.owner .. (message and ' ' .. message or ''))
end

-- What else is kept of a ticket: its label, and the message as its sender calls it.
local function extras_of(rec, t)
  return t.has_extras and value_of(rec, 'e:' .. int(t.number)) or '- -'
end

-- Note what a take or a redeeming says of it. What it does not say stays as it was.
local function note_extras(rec, t, extras)
  if extras == '-' then return end
  local label, message = string.match(extras, '^(%S+) (%S+)$')
  local old_label, old_message = string.match(extras_of(rec, t), '^(%S+) (%S+)$')
  if label == '-' then label = old_label or '-' end
  if message == '-' then message = old_message or '-' end
  t.has_extras = true
  set(rec, 'e:' .. int(t.number), label .. ' ' .. message)
end

local THIS_MS = now - now % 1000  -- a turn's beginning, as it is written

-- A clock that was set back would let a dead ticket live until it has caught up. So a ticket lives
-- its lifetime from when it is met, at the most. That is written: counted anew at each meeting, it
-- would never be over.
local function clamp(rec, t)
  local latest = now + t.lifetime
  if t.expires <= latest and t.served_at <= now then return end
  t.expires = math.min(t.expires, latest)
  t.served_at = math.min(t.served_at, THIS_MS)
  write_though_full(rec)
  write(rec, t)
end

-- The ticket with this number, or nil. `text` is its field if the caller has read it already.
local function ticket_of(rec, number, text)
  if is_gone(rec, number) then return nil end
  local known = rec.tickets[number]
  if known == nil then
    if text == nil then text = redis.call('HGET', rec.key, number) end
    known = text and decode(text, number)
    rec.tickets[number] = known or false
    if known then clamp(rec, known) end
  end
  return known or nil
end

-- Lines are walked in pieces: unpack() has a limit.
local PIECE = 200

-- The fields of the tickets from number `first` to `last`, false for each that is not there. As
-- they are in Redis: what this call has changed is in rec.tickets.
local function texts_of(rec, first, last)
  local numbers = {}
  for number = first, last do numbers[number - first + 1] = number end
  effort = effort - 0.6 * #numbers
  return redis.call('HMGET', rec.key, unpack(numbers))
end

-- What expires within a second, as text: whether it still lives; nil if that is not known yet.
local living = {[string.sub(NOW, 1, -7)] = 'some'}

-- Whether the ticket with this field lives. Walking a line of thousands is mostly this, and they
-- expire within some seconds of each other, so each second is compared once.
local function lives(text)
  local second = string.sub(text, 1, 10)
  local all = living[second]
  if all == nil or string.byte(text, 17) ~= 32 then
    local expires = tonumber(string.match(text, '^%d+'))
    if not expires then return true end  -- damage; whoever reads it says so
    if string.byte(text, 17) == 32 then living[second] = expires > now end
    return expires > now
  end
  if all == 'some' then return tonumber(string.sub(text, 1, 16)) > now end
  return all
end

-- The ticket of `owner`, or nil; and as it stands in the hash, though it may be gone. If neither is
-- there and the walk got too long, third the number below which it goes on. O(line): asked only where
-- the reply to a take is missing. The newest first: that take was made a moment ago.
local function find(rec, owner, below)
  local needle, lowest = ' ' .. owner, math.min(rec.from or rec.serving, rec.serving)
  for last = math.min(below or rec.next, rec.next) - 1, lowest, -PIECE do
    if effort <= 0 then return nil, nil, last + 1 end
    local first = math.max(last - PIECE + 1, lowest)
    local texts = texts_of(rec, first, last)
    for i = #texts, 1, -1 do
      local text, number = texts[i], first + i - 1
      if text and string.find(text, needle, 1, true) then
        local t = decode(text, number)
        if t.owner == owner then return ticket_of(rec, number, text), t end
      end
    end
  end
end

-- The ticket with this number, whose field reads `text`, if it is the owner's. By owner alone where
-- the number is not known yet (-1): then second where that walk goes on, if it does.
local function own(rec, number, owner, text, on)
  if number < 0 then
    local found, _, below = find(rec, owner, tonumber(on))
    return found, below
  end
  local t = text and ticket_of(rec, number, text)
  return t and t.owner == owner and t or nil
end

local function has(t, flag)
  return string.find(t.flags, flag, 1, true) ~= nil
end
