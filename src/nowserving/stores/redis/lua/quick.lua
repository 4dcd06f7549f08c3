-- The steps of which nearly every turn is made, each without anything but its own few calls of
-- Redis. A quick step answers, or it has done nothing and hands on the fields it has read: then the
-- verb itself decides (its file has KEYS, ARGV and what it returns). Whatever is decided here is
-- decided just so there. Handed on is also whatever the clock was set back for (clamp()), and what
-- meets something that is to be swept (sweeping.lua), or a line that settles.
local quick = {}

-- The flags of nearly all tickets: whose turn is interrupted, or answers for others, the verbs see to.
local function usual(flags)
  return flags == 'c' or flags == 'cr' or flags == '-'
end

local TICKET = '^(%d+) (%d+) (%-?%d+) (%S+) (%S+)( ?%S*)$'  -- see decode()

-- Whether a ticket with this third field waits; see decode().
local function waits(served_at)
  return served_at == '0' or string.byte(served_at) == 45
end

-- Write `...` into the record, which is kept until then and shall outlive `moment`; see keep().
local function write_and_keep(key, kept_until, moment, slack, ...)
  if kept_until < moment then
    check_end(moment + slack)
    redis.call('HSET', key, 'kept_until', int(moment + slack), ...)
    redis.call('PEXPIRE', key, int(math.ceil((moment + slack - now) / 1000)))
  else
    redis.call('HSET', key, ...)
  end
end

local function next_token(last)
  local least = math.max(token_of(last), SEEN_TOKEN) + 1
  return least > now and int(least) or NOW
end

-- The field with the ticket of a message as an argument says it; see split_message().
local function field_of(message)
  return 'm:' .. string.match(message, '^[^~]*')
end

-- Nobody is in line, and any policy and any limit admits; or somebody who lives is served, and
-- this one goes to the end of the line.
function quick.take(key, owner, lifetime, flags, policy, limit, message, extras, again)
  local f = read(key, 'x:' .. owner, message == '-' and 'graves' or field_of(message))
  local number = f[1]
  if not number or f[7] or f[10] or f[11] or again ~= '0' or message ~= '-' or extras ~= '-' or
      #policy > 1 then
    return nil, f
  end
  if f[8] then  -- somebody is buried: is there something to sweep?
    local due = tonumber(string.match(f[8], ' (%d+)$'))
    if not due or due <= now or due > now + tonumber(ARGV[3]) then return nil, f end
  end
  local life = tonumber(lifetime)
  local expires = now + life
  local following = int(whole(number, 'next') + 1)
  local kept_until = whole(f[4], 'kept_until')

  if number == f[2] then
    local token = next_token(f[3])
    write_and_keep(key, kept_until, expires + life, life, 'next', following, 'token', token, number,
                   int(expires) .. ' ' .. string.sub(lifetime, 1, -4) .. ' ' .. NOW_MS .. ' ' ..
                   flags .. ' ' .. owner)
    return 'S ' .. number .. ' 0 ' .. lifetime .. ' ' .. lifetime .. ' ' .. token .. ' ' ..
      (f[5] or 'none')
  end

  if policy ~= 'q' or limit ~= '-1' then return nil, f end
  local serving, mine = whole(f[2], 'serving'), whole(number, 'next')
  if serving > mine then return nil, f end
  local first = math.max(serving + 1, whole(f[6] or 0, 'superseded_below'))
  local before = {serving}
  for next_ = first, math.min(mine, first + A_FEW) - 1 do before[#before + 1] = next_ end
  local texts = redis.call('HMGET', key, unpack(before))
  local ends, soonest, known = 0, mine > first + A_FEW and now + UNKNOWN or math.huge, false
  for i = 1, #before do
    local text = texts[i]
    if text or i == 1 then
      local its_end, its_life, served_at, its_flags = string.match(text or '', TICKET)
      if not its_end or (i == 1 and waits(served_at)) then return nil, f end
      its_end, its_life = tonumber(its_end), its_life * 1000
      if its_end > now + its_life then return nil, f end
      if i == 1 then
        ends = its_end
        if ends <= now or string.find(its_flags, 'n', 1, true) then return nil, f end
      elseif its_end > now then
        if restarts(its_flags) then its_end = now + its_life end
        soonest = known and math.min(soonest, its_end) or its_end
        known = true
      end
    end
  end
  if #before > 1 then ends = math.min(ends, soonest) end
  write_and_keep(key, kept_until, expires + life, life, 'next', following, number,
                 int(expires) .. ' ' .. string.sub(lifetime, 1, -4) .. ' 0 ' .. flags .. ' ' .. owner)
  return 'W ' .. number .. ' ' .. int(mine - serving) .. ' ' .. lifetime .. ' ' ..
    int(ends - now) .. ' ' .. (f[9] or '0')
end

-- The holder leaves, and nobody is behind it; or somebody who lives is next, and is served.
function quick.leave(key, number, owner, outcome)
  local following = int(tonumber(number) + 1)
  local f = read(key, number, following)
  if not f[7] or f[10] or f[11] or f[2] ~= number or outcome == 'abandoned' then return nil, f end
  local expires, _, _, its_flags, mine, message = string.match(f[7], TICKET)
  if mine ~= owner or message ~= '' or not usual(its_flags) or tonumber(expires) <= now then return nil, f end

  if f[1] == following then
    redis.call('HDEL', key, number)
    if f[5] == outcome then
      redis.call('HSET', key, 'serving', following)
    else
      redis.call('HSET', key, 'serving', following, 'predecessor', outcome)
    end
    return '1 0'
  end

  local lifetime, served_at, flags, its_message
  expires, lifetime, served_at, flags, mine, its_message = string.match(f[8] or '', TICKET)
  if not served_at or not waits(served_at) or tonumber(expires) <= now or not usual(flags) then
    return nil, f
  end
  local ends, life = tonumber(expires), lifetime * 1000
  if ends > now + life then return nil, f end
  if restarts(flags) then
    ends = now + life
    expires = int(ends)
  end
  whole(f[1], 'next')
  local token, kept_until = next_token(f[3]), whole(f[4], 'kept_until')
  check_end(ends + life + life)
  -- From here on it is written: nothing may fail any more.
  redis.call('HDEL', key, number)
  write_and_keep(key, kept_until, ends + life, life, 'serving', following, 'token', token,
                 'predecessor', outcome, following, expires .. ' ' .. lifetime .. ' ' .. NOW_MS ..
                 ' ' .. flags .. ' ' .. mine .. its_message)
  local inbox, left = string.match(mine, '^([^.]+)%.'), int(ends - now)
  if inbox then
    redis.pcall('PUBLISH', CHANNEL .. inbox, PROTOCOL .. ' ' .. mine .. ' S ' .. following ..
                ' 0 ' .. left .. ' ' .. left .. ' ' .. token .. ' ' .. outcome)
  end
  return '1 1'
end
