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
local LEFT, PIECE = 1000, 200
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

function quick.survey(key, from)
  local f = read(key)
  if not f[1] then
    if redis.call('EXISTS', key) == 1 then corrupt('it is a hash without a field next') end
    return '-'
  end
  if f[1] == f[2] then return '-' end
  local following, serving = whole(f[1], 'next'), whole(f[2], 'serving')
  local waiting_from = math.max(serving + 1, whole(f[6] or 0, 'superseded_below'))
  local number, size = math.max(tonumber(from), serving), FIRST
  local holder, waiting, longest, counts, names = NO_HOLDER, 0, -1, {}, {}
  while number < following and LEFT > 0 do
    if number > serving then number = math.max(number, waiting_from) end
    local last, fields = math.min(number + size, following) - 1, {}
    for n = number, last do fields[#fields + 1] = n end
    if #fields == 0 then break end
    LEFT = LEFT - #fields
    local texts = redis.call('HMGET', key, unpack(fields))
    for i = 1, #texts do
      local this = fields[i]
      local is_there = texts[i] and (this == serving or this >= waiting_from)
      if is_there then
        local expires, lifetime, since, flags, owner, message = string.match(texts[i], TICKET)
        if not expires then corrupt('its ticket ' .. int(this) .. ' is not readable') end
        lifetime = lifetime * 1000
        local ends = math.min(tonumber(expires), now + lifetime)  -- as clamp() would have it
        local waits = since == '0' or string.byte(since) == 45
        if ends > now and not waits then
          holder = holder_of(key, int(this), ends - now, math.max(now - since * 1000, 0), flags, owner, message)
        elseif ends > now then
          waiting = waiting + 1
          longest = math.max(longest, waited_of(since, tonumber(expires), lifetime))
          local name = string.match(owner, '^([^.]+)%.') or '-'
          if not counts[name] then names[#names + 1] = name end
          counts[name] = (counts[name] or 0) + 1
        end
      end
    end
    number, size = last + 1, PIECE
  end
  local on = number < following and int(number) or '-1'
  if on == '-1' and waiting == 0 and holder == NO_HOLDER and from == '-1' then return '-' end
  local found = {on, int(waiting), int(longest), holder}
  for i = 1, #names do found[#found + 1] = names[i] .. ' ' .. int(counts[names[i]]) end
  return table.concat(found, ' ')
end

local function all_verbs() return {} end
