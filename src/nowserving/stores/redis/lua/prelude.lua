-- What everything shares. Runs once per script call; there is one call for a whole batch of verbs,
-- so time is read once.
--
-- What the verbs decide is what nowserving/stores/_lines decides, where each rule is told; how it is
-- done to a hash, in a script that must not hold up Redis, is told here.
--
-- The record of a conversation is one hash:
--   next               the number of the next ticket to be issued
--   serving            the number that is served; equal to `next` when nobody is in line
--   token              the fencing token of the last turn that began
--   kept_until         when the record expires (its TTL, so that reading the TTL costs nothing)
--   superseded_below   waiters with smaller numbers had to leave for a newer message
--   held_back          "settles_until burst_since 0", present while the line settles: before the one
--                      moment nobody's turn begins, and since the other messages have come
--   version            the protocol's number and a count of 16 digits, written as one number, since
--                      Redis keeps that in 9 bytes: changes whenever somebody's ticket is taken out by
--                      another than its owner. Written with a record's first ticket
--   sweeping           "from anew", present while tickets that are gone are still to be taken out
--                      (sweeping.lua): the number to go on from, and the `next` with which the
--                      numbers begin anew when that is done, or -1
--   predecessor        how the last turn that was held did
--   opened             present when an empty line is still "a lock" to the reference API
--   <number>           a ticket: "expires lifetime served_at flags owner", and its message if it
--                      has one ("." if it has none, and more is kept of it: see e:<number>);
--                      served_at is 0 while it waits, if it joined a lifetime before it expires; else
--                      "-joined". Lifetime and served_at are in milliseconds and joined in hundredths
--                      of a second, since Redis keeps a hash packed, at a third of the memory, while
--                      no value is longer than 64 bytes. No ticket lives longer than `lifetime` from
--                      now on: one whose `expires` is later was written before the clock was set back
--                      (see clamp())
--   e:<number>         what else is kept of that ticket: "label message_id", percent-encoded, "-" for
--                      what it has not. Most tickets have neither, and no such field
--   m:<message>        number of the ticket whose message it is; those that are done have keys of their
--                      own (messages.lua)
--   a:<number>         which messages the ticket answers for (answers.lua)
--   x:<owner>          tombstone: a take of this owner that comes late is refused. Made by a
--                      repeated take, by a leave whose take was never answered, by a parking, and
--                      for those whom somebody else took out. Removed when its time is over, by
--                      takes and where others are made, and so are the next two (tombstones.lua)
--   g:<i>              the owner who was buried as the i-th
--   graves             "first next due": those i, and when the oldest tombstone's time is over
-- All other times are microseconds of this server's clock. All numbers are below 2^53, so doubles
-- are exact, but they must be written with int(): tostring() would round a token.

-- PROTOCOL, the number of what is told here, and NEXT_PROTOCOL, the text of the next one, are put in
-- front by script.py.
local SEEN_TOKEN = tonumber(ARGV[1])   -- the highest fencing token the caller has seen
local CHANNEL = ARGV[2]                -- prefix of the inbox channels
-- ARGV[3], for how long an attempt of a take may be late, is only asked for by tombstones.lua.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function int(n)
  return string.format('%.0f', n)
end

-- As int(now), from the texts as they came, which is quicker; and in milliseconds.
local NOW = clock[1] .. string.sub('000000' .. clock[2], -6)
local NOW_MS = string.sub(NOW, 1, -4)

local function corrupt(what)
  error({err = 'CORRUPT ' .. what})
end

local MOST = 9007199254740991  -- 2^53 - 1: one more can still be told from it

-- A counter as it must be: whole, not negative, exact in a double. NaN is equal to nothing.
local function whole(text, field)
  local n = tonumber(text or nil)
  if not n or n ~= math.floor(n) or n < 0 or n > MOST then
    corrupt('its field ' .. field .. ' is not a counter')
  end
  return n
end

-- Tokens grow by the clock, so none is years ahead of it and of all that were seen. A damaged one
-- would go on from its record to every conversation of the caller, and near 2^53 grow no more.
local LATEST = math.max(now, SEEN_TOKEN) + 315360000000000  -- ten years

local function token_of(text)
  local token = whole(text, 'token')
  if token > LATEST then corrupt('its field token is years ahead of the clock') end
  return token
end

-- A record can't be kept until a moment that could not be read again. Said before anything of it is
-- written: what a script has written stands, whatever it raises afterwards, and so without a TTL.
local function check_end(moment)
  if not (moment <= MOST) then corrupt('a ticket of it lives too long') end
end

local COUNT = 16  -- digits of a version's count; the protocol's number, of one digit, stands before

-- A newer protocol may mean something else by every field, so nothing of its record is read or
-- written. A version without a number is of protocol 1, which is read (docs/upgrading.md).
local function refuse_newer(version)
  if version and #version > COUNT and  -- compared as text: tonumber() takes ten times as long
      (version >= NEXT_PROTOCOL or #version > COUNT + 1) then
    error({err = 'INCOMPATIBLE ' .. string.sub(version, 1, -COUNT - 1) .. ' ' .. PROTOCOL})
  end
end

-- The fields of the record under `key`, and up to two more, in one call. Every verb begins with it.
local function read(key, extra1, extra2)
  local f = redis.call('HMGET', key, 'next', 'serving', 'token', 'kept_until', 'predecessor',
                    'superseded_below', extra1 or '-', extra2 or '-', 'version', 'sweeping',
                    'held_back')
  refuse_newer(f[9])
  return f
end

-- Whether being served gives a ticket with these flags a whole lifetime anew.
local function restarts(flags)
  return string.find(flags, 'c', 1, true) and not string.find(flags, 'r', 1, true)
end

-- Redis does nothing else while a verb runs, and a line may be of thousands. So no verb walks all of
-- one: what it has no time for is done when it is asked again (unfinished()), or by a later verb
-- (sweeping.lua). These are the microseconds, roughly, that this call may still walk. The verbs of a
-- batch share them, but each may walk a little.
local effort, LEAST_EFFORT = 2000, 300

-- Whether the verb that was run last has left something to be swept; its asker goes on with that.
local left_over = false

-- Of how many numbers next in line a waiter learns when their tickets may end; and, when none of
-- them has one, after how many microseconds it asks again. See soonest_end().
local A_FEW, UNKNOWN = 8, 1000000
