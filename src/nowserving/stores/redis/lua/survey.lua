-- survey: how many are in a line, from afar. Reads only; a script of its own with the prelude and the
-- dispatcher, since in a cluster each line is asked by itself.
-- KEYS: the record.
-- ARGV: the number from which on to look (-1: from the first).
-- Returns: "-" if nobody is there, else "on waiting waited holder name count name count ...":
--   on       the number to go on from with another call (-1: that was all)
--   waiting  how many live tickets wait
--   waited   microseconds since the first of them joined (-1: nobody waits, or it is not known)
--   holder   "number expires_in served_for flags owner label message_id" (us; the last two as in
--            e:<number>), all of it "-" if no live ticket is served
--   name     what the owners of those who wait begin with, up to the dot ("-": nobody has claimed it)
local quick = {}

-- What is left of the tickets that one script call may look at: all its verbs share them. A verb that
-- finds none left says so by going on from where it was.
local budget, PIECE = 1000, 200
local FIRST = 2  -- of nearly every line these are all

local TICKET = '^(%d+) (%d+) (%-?%d+) (%S+) (%S+) ?(%S*)$'  -- see decode() in tickets.lua
local NO_HOLDER = '- - - - - - -'

-- The words of the ticket that is served.
local function holder_of(key, number, left, served_for, flags, owner, message)
  local extras = message ~= '' and redis.call('HGET', key, 'e:' .. number) or '- -'
  return number .. ' ' .. int(left) .. ' ' .. int(served_for) .. ' ' .. flags .. ' ' .. owner .. ' ' .. extras
end

-- How long the ticket has waited that reads so, by its third field; see write() in tickets.lua.
local function waited_of(joined, expires, lifetime)
  if string.byte(joined) == 45 then return math.max(now + joined * 10000, 0) end
  return math.max(now - (expires - lifetime), 0)
end

-- What is known of a line by one call.
local function look(key, line, number, following)
  local size = FIRST
  while number < following and budget > 0 do
    if number > line.serving then number = math.max(number, line.waiting_from) end
    local last, fields = math.min(number + size, following) - 1, {}
    for n = number, last do fields[#fields + 1] = n end
    budget = budget - #fields
    local texts = #fields > 0 and redis.call('HMGET', key, unpack(fields)) or fields
    for i = 1, #texts do
      local this = fields[i]
      if texts[i] and (this == line.serving or this >= line.waiting_from) then
        local expires, lifetime, since, flags, owner, message = string.match(texts[i], TICKET)
        if not expires then corrupt('its ticket ' .. int(this) .. ' is not readable') end
        expires, lifetime = tonumber(expires), lifetime * 1000
        local ends = math.min(expires, now + lifetime)  -- as clamp() would have it
        if ends <= now then
          -- It is still there, and nobody is in line by it.
        elseif since == '0' or string.byte(since) == 45 then
          line.waiting = line.waiting + 1
          line.longest = math.max(line.longest, waited_of(since, expires, lifetime))
          local name = string.match(owner, '^([^.]+)%.') or '-'
          if not line.counts[name] then line.names[#line.names + 1] = name end
          line.counts[name] = (line.counts[name] or 0) + 1
        else
          line.holder = holder_of(key, int(this), ends - now, math.max(now - since * 1000, 0), flags,
                                  owner, message)
        end
      end
    end
    number, size = last + 1, PIECE
  end
  return number
end

-- What is to be said where there is one ticket, and it is served, or gone; else nil.
local function alone_of(key, serving)
  local expires, lifetime, since, flags, owner, message =
    string.match(redis.call('HGET', key, serving) or '0 0 1 - -', TICKET)
  if not expires or since == '0' or string.byte(since) == 45 then return nil end
  budget = budget - 1
  local remains = math.min(expires - now, lifetime * 1000)
  if remains <= 0 then return '-' end
  return '-1 0 -1 ' .. holder_of(key, serving, remains, math.max(now - since * 1000, 0), flags, owner, message)
end

function quick.survey(key, from)
  local f = redis.call('HMGET', key, 'next', 'serving', 'superseded_below', 'version')
  if not f[1] then
    if redis.call('EXISTS', key) == 1 then corrupt('it is a hash without a field next') end
    return '-'
  end
  refuse_newer(f[4])
  if f[1] == f[2] then return '-' end
  local following, serving = whole(f[1], 'next'), whole(f[2], 'serving')
  if serving > following then corrupt('it serves a number that was never issued') end
  if following == serving + 1 then  -- as nearly always: by itself that takes half the time
    local alone = alone_of(key, f[2])
    if alone then return alone end
  end
  local line = {serving = serving, waiting_from = math.max(serving + 1, whole(f[3] or 0, 'superseded_below')),
                holder = NO_HOLDER, waiting = 0, longest = -1, counts = {}, names = {}}
  local number = look(key, line, math.max(tonumber(from), serving), following)
  local on = number < following and int(number) or '-1'
  if line.waiting == 0 then
    if on == '-1' and from == '-1' and line.holder == NO_HOLDER then return '-' end
    return on .. ' 0 -1 ' .. line.holder
  end
  local found = {on, int(line.waiting), int(line.longest), line.holder}
  for _, name in ipairs(line.names) do found[#found + 1] = name .. ' ' .. int(line.counts[name]) end
  return table.concat(found, ' ')
end

local function all_verbs() return {} end
