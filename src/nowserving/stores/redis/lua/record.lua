-- What the verbs share: a record that is loaded and changed. What writes it is in sweeping.lua.

-- Changes are collected by field and written by commit(), so that the last word on a field counts
-- and nothing is written when a verb fails half-way.
local function set(rec, field, value)
  rec.changes[field] = value
end

local function del(rec, field)
  rec.changes[field] = false
end

-- Let the changes be written though the memory is full: once a script has deleted something, it
-- may write (see commit). What it deletes need not be there, and there is no such field.
local function write_though_full(rec)
  del(rec, '-')
end

-- From now on nobody's turn begins before that moment; 0 when nothing holds the line back.
local function hold_back(rec, settles_until, burst_since)
  if settles_until == rec.settles_until and settles_until == 0 then return end
  rec.settles_until, rec.burst_since = settles_until, burst_since or 0
  if settles_until > 0 then
    set(rec, 'held_back', int(settles_until) .. ' ' .. int(rec.burst_since) .. ' 0')
  else
    del(rec, 'held_back')
  end
end

local function read_held_back(rec, text)
  local until_, since = string.match(text, '^(%d+) (%d+) ')
  until_, since = whole(until_, 'held_back'), whole(since, 'held_back')
  if since > now then  -- the clock was set back, as in clamp()
    write_though_full(rec)
    hold_back(rec, now + math.max(until_ - since, 0), now)
  else
    rec.settles_until, rec.burst_since = until_, since
  end
end

-- The record from its fields as read() gave them; the extra fields are in rec.extra1/2.
local function record(key, f)
  effort = math.max(effort, LEAST_EFFORT)
  local rec = {key = key, tickets = {}, changes = {}, mail = {}, done = {}, extra1 = f[7],
               extra2 = f[8], settles_until = 0, burst_since = 0}
  if not f[1] then
    if redis.call('EXISTS', key) == 1 then corrupt('it is a hash without a field next') end
    rec.missing = true
    rec.next, rec.serving, rec.token, rec.kept_until = 0, 0, 0, 0
    rec.predecessor, rec.below, rec.version = 'none', 0, '0'
    return rec
  end
  rec.next = whole(f[1], 'next')
  rec.serving = whole(f[2], 'serving')
  if rec.serving > rec.next then corrupt('it serves a number that was never issued') end
  rec.token = token_of(f[3])
  rec.kept_until = whole(f[4], 'kept_until')
  rec.predecessor = f[5] or 'none'
  rec.below = whole(f[6] or 0, 'superseded_below')
  rec.version = f[9] or '0'
  if f[10] then
    local from, anew = string.match(f[10], '^(%d+) (%-?%d+)$')
    rec.from, rec.anew = whole(from, 'sweeping'), tonumber(anew)
  end
  if f[11] then read_held_back(rec, f[11]) end
  return rec
end

local function load(key, extra1, extra2)
  return record(key, read(key, extra1, extra2))
end

-- What a field reads now, changes that are not written yet included; false if it is not there.
local function value_of(rec, field)
  local value = rec.changes[field]
  if value == nil then value = redis.call('HGET', rec.key, field) end
  return value
end

-- Somebody's ticket goes, or may have gone, without its owner's doing. A poll that knows the version
-- need not ask for every ticket as long as it stays the same (poll.lua). A record that is made anew
-- has another one, too: it holds the clock.
local function new_version(rec)
  local count = whole(string.sub(rec.version, -COUNT), 'version')
  rec.version = PROTOCOL .. string.format('%0' .. COUNT .. '.0f', math.max(count + 1, now))
  set(rec, 'version', rec.version)
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

-- Queue a notice for the owner of a ticket, if it has an inbox. Sent by commit().
local function mail(rec, t, text)
  local inbox = string.match(t.owner, '^([^.]+)%.')
  if inbox then rec.mail[#rec.mail + 1] = {CHANNEL .. inbox, PROTOCOL .. ' ' .. t.owner .. ' ' .. text} end
end
