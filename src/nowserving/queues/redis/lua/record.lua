-- What the verbs share: a record that is loaded, changed and committed.

-- The record from its fields as read() gave them; the extra fields are in rec.extra1/2.
local function record(key, f)
  local rec = {key = key, tickets = {}, changes = {}, mail = {}, extra1 = f[7], extra2 = f[8]}
  if not f[1] then
    if redis.call('EXISTS', key) == 1 then corrupt('it is a hash without a field next') end
    rec.missing = true
    rec.next, rec.serving, rec.token, rec.kept_until = 0, 0, 0, 0
    rec.predecessor, rec.below, rec.mark = 'none', 0, '0'
    return rec
  end
  rec.next = whole(f[1], 'next')
  rec.serving = whole(f[2], 'serving')
  if rec.serving > rec.next then corrupt('it serves a number that was never issued') end
  rec.token = token_of(f[3])
  rec.kept_until = whole(f[4], 'kept_until')
  rec.predecessor = f[5] or 'none'
  rec.below = whole(f[6] or 0, 'superseded_below')
  rec.mark = f[9] or '0'
  return rec
end

local function load(key, extra1, extra2)
  return record(key, read(key, extra1, extra2))
end

-- Changes are collected by field and written by commit(), so that the last word on a field counts
-- and nothing is written when a verb fails half-way.
local function set(rec, field, value)
  rec.changes[field] = value
end

local function del(rec, field)
  rec.changes[field] = false
end

-- What a field reads now, changes that are not written yet included; false if it is not there.
local function value_of(rec, field)
  local value = rec.changes[field]
  if value == nil then value = redis.call('HGET', rec.key, field) end
  return value
end

-- Let the changes be written though the memory is full: once a script has deleted something, it
-- may write (see commit). What it deletes need not be there, and there is no such field.
local function write_though_full(rec)
  del(rec, '-')
end

-- Somebody's ticket goes, or may have gone, without its owner's doing. A look that knows the mark
-- need not ask for every ticket as long as it stays the same (look.lua). A record that is made anew
-- has another one, too: it holds the clock.
local function new_mark(rec)
  rec.mark = int(math.max(whole(rec.mark, 'mark') + 1, now))
  set(rec, 'mark', rec.mark)
end

local function decode(text, number)
  local expires, lifetime, served_at, flags, owner, message =
    string.match(text, '^(%d+) (%d+) (%d+) (%S+) (%S+) ?(%S*)$')
  if not expires then corrupt('its ticket ' .. int(number) .. ' is not readable') end
  return {
    number = number, expires = tonumber(expires), lifetime = lifetime * 1000,
    served_at = served_at * 1000, flags = flags, owner = owner,
    message = message ~= '' and message or '-',
  }
end

-- The ticket with this number, or nil. `text` is its field if the caller has read it already.
local function ticket_of(rec, number, text)
  local known = rec.tickets[number]
  if known == nil then
    if text == nil then text = redis.call('HGET', rec.key, number) end
    known = text and decode(text, number)
    rec.tickets[number] = known or false
  end
  return known or nil
end

-- The ticket of `owner`, or nil. O(line): asked only where the reply to a take is missing.
local function find(rec, owner)
  for number = rec.next - 1, rec.serving, -1 do
    local t = ticket_of(rec, number)
    if t and t.owner == owner then return t end
  end
end

-- The ticket with this number, whose field reads `text`, if it is the owner's; by owner alone
-- where the number is not known yet (-1).
local function own(rec, number, owner, text)
  if number < 0 then return find(rec, owner) end
  local t = text and ticket_of(rec, number, text)
  return t and t.owner == owner and t or nil
end

local function write(rec, t)
  rec.tickets[t.number] = t
  set(rec, int(t.number), int(t.expires) .. ' ' .. int(math.ceil(t.lifetime / 1000)) .. ' ' ..
      int(math.floor(t.served_at / 1000)) .. ' ' .. t.flags .. ' ' .. t.owner ..
      (t.message ~= '-' and ' ' .. t.message or ''))
end

local function has(t, flag)
  return string.find(t.flags, flag, 1, true) ~= nil
end

-- The record shall outlive `moment`. It gets one `slack` more than asked for, so that a busy
-- conversation sets its TTL once a lifetime and not at each take.
local function keep(rec, moment, slack)
  if rec.kept_until < moment then
    check_end(moment + slack)
    rec.kept_until = moment + slack
    rec.kept = true
    set(rec, 'kept_until', int(rec.kept_until))
  end
end

local function standing(rec, t)
  if t.served_at > 0 then
    local left = int(t.expires - now)
    return (has(t, 'i') and 'I ' or 'S ') .. int(t.number) .. ' 0 ' .. left .. ' ' .. left ..
      ' ' .. int(rec.token) .. ' ' .. rec.predecessor
  end
  local head = ticket_of(rec, rec.serving)
  return 'W ' .. int(t.number) .. ' ' .. int(t.number - rec.serving) .. ' ' ..
    int(t.expires - now) .. ' ' .. int(head.expires - now) .. ' ' .. rec.mark
end

-- Queue a notice for the owner of a ticket, if it has an inbox. Sent by commit().
local function mail(rec, t, text)
  local inbox = string.match(t.owner, '^([^.]+)%.')
  if inbox then rec.mail[#rec.mail + 1] = {CHANNEL .. inbox, t.owner .. ' ' .. text} end
end

-- Remember or forget the message of a ticket that goes.
local function note_message(rec, t, outcome)
  local field, number = 'm:' .. t.message, int(t.number)
  if value_of(rec, field) ~= number then return end  -- it expired, and its message came again since
  if outcome == 'done' then
    set(rec, field, 'done ' .. int(now + t.lifetime))
    set(rec, 'd:' .. number, t.message)
    rec.finished = rec.finished or number
    keep(rec, now + t.lifetime, t.lifetime)
  else
    del(rec, field)
  end
end

-- Take a ticket out, noting how its stay ended for its successor and for its message.
local function drop(rec, t, outcome)
  rec.tickets[t.number] = false
  del(rec, int(t.number))
  if t.served_at > 0 and rec.predecessor ~= outcome then
    rec.predecessor = outcome
    set(rec, 'predecessor', outcome)
  end
  if t.message ~= '-' then note_message(rec, t, outcome) end
end

-- Begin the turn of the first live ticket.
local function serve(rec, t)
  rec.token = math.max(rec.token + 1, SEEN_TOKEN + 1, now)
  set(rec, 'token', int(rec.token))
  t.served_at = now
  if has(t, 'c') and not has(t, 'r') then t.expires = now + t.lifetime end
  keep(rec, t.expires + t.lifetime, t.lifetime)
  write(rec, t)
end

-- Walk past the tickets that are gone and serve the first live one. `joining` is not told by
-- mail: its owner gets the answer itself.
local function settle(rec, joining)
  local before = rec.serving
  while rec.serving < rec.next do
    local head = ticket_of(rec, rec.serving)
    if head and head.expires > now then
      if head.served_at == 0 then
        serve(rec, head)
        if head ~= joining then mail(rec, head, standing(rec, head)) end
      end
      break
    end
    if head then
      drop(rec, head, 'expired')
      new_mark(rec)
    end
    rec.serving = rec.serving + 1
  end
  if rec.serving ~= before then set(rec, 'serving', int(rec.serving)) end
end

-- redis.call with a list of any length: unpack() has a limit of some thousand values.
local function call_in_chunks(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end

-- Write all that changed. HDEL goes first: it is allowed when the server is out of memory, and
-- once a script has written, so is the HSET that follows. A ticket can always be given back.
-- PUBLISH goes last and protected: an ACL may deny it, and what was written stands.
local function commit(rec)
  local dels, sets = {}, {}
  for field, value in pairs(rec.changes) do
    if value then
      sets[#sets + 1] = field
      sets[#sets + 1] = value
    else
      dels[#dels + 1] = field
    end
  end
  call_in_chunks('HDEL', rec.key, dels)
  call_in_chunks('HSET', rec.key, sets)
  if rec.finished then redis.call('HSETNX', rec.key, 'remembered', rec.finished) end
  if rec.kept then
    redis.call('PEXPIRE', rec.key, int(math.ceil((rec.kept_until - now) / 1000)))
  end
  for i = 1, #rec.mail do redis.pcall('PUBLISH', rec.mail[i][1], rec.mail[i][2]) end
end
