-- save: merge a piece of a caller's picture of the line.
-- KEYS: the record.
-- ARGV: seen_below; from and upto: the piece is of the numbers from the one to before the other;
--       writes ("0": it only removes); first and last: the numbers of the whole picture's first
--       ticket, and of its last that lives (-1: none); then "number expires_in" (us; may be
--       negative) for each ticket of the piece in the order of their numbers: all of them one text,
--       since Lua passes some thousand arguments at the most.
-- Returns: "ok", or the number from which on it has to be said again. Tickets below seen_below that
--       the picture lacks are removed and their owners told; those it has get its expiry, and the
--       lifetime for that; new ones join unclaimed; later ones are left alone.
local function read_piece(tickets)
  local lefts, numbers, longest = {}, {}, 1000000
  for number, left in string.gmatch(tickets, '(%d+) (%-?%d+)') do
    number, left = tonumber(number), tonumber(left)
    lefts[number] = left
    numbers[#numbers + 1] = number
    longest = math.max(longest, left)
  end
  return lefts, numbers, longest
end

-- Remove what the picture lacks; return the number to go on from when it gets too much.
local function remove_missing(rec, lefts, from, upto)
  from = math.max(from, rec.serving)
  while from < upto do
    if effort <= 0 then return from end
    local texts = texts_of(rec, from, math.min(from + PIECE, upto) - 1)
    for i = 1, #texts do
      local number = from + i - 1
      local t = not lefts[number] and ticket_of(rec, number, texts[i])
      if t then
        dismiss(rec, t, 'released')
        effort = effort - COST
      end
    end
    from = from + #texts
  end
end

local function write_piece(rec, lefts, numbers, seen_below, first, last)
  local texts = #numbers > 0 and redis.call('HMGET', rec.key, unpack(numbers))
  -- A number that was issued is somebody else's, though he may be gone. In a later piece the picture's
  -- own numbers are below `next` as well.
  local fresh = numbers[1] == first and rec.next or math.min(seen_below, rec.next)
  if rec.serving >= rec.next and last >= rec.next then
    rec.serving = math.max(rec.serving, first)  -- nobody has to walk there
    set(rec, 'serving', int(rec.serving))
  end
  rec.next = math.max(rec.next, last + 1)  -- whoever comes before the next piece is behind them all
  for i, number in ipairs(numbers) do
    local left, t = lefts[number], ticket_of(rec, number, texts[i])
    if t and t.expires > now then
      t.expires, t.lifetime = now + left, math.max(t.lifetime, left)
      write(rec, t)
    elseif not t and left > 0 and number >= fresh and not is_gone(rec, number) then
      write(rec, {number = number, expires = now + left, lifetime = left, served_at = 0,
                  joined = now, flags = '-', owner = '-', message = '-'})
    end
  end
  set(rec, 'next', int(rec.next))
  set(rec, 'opened', '1')
end

function verbs.save(key, seen_below, from, upto, writes, first, last, tickets)
  local rec = load(key)
  seen_below, from, upto = tonumber(seen_below), tonumber(from), tonumber(upto)
  first, last = tonumber(first), tonumber(last)
  if rec.missing then
    set(rec, 'next', '0')
    set(rec, 'serving', '0')
    set(rec, 'token', '0')
  end
  new_version(rec)
  local lefts, numbers, longest = read_piece(tickets)
  keep(rec, now + 2 * longest, longest)
  local on = from == 0 and not promote(rec) and from or nil
  -- Nobody is served in between who is to be removed next.
  on = on or remove_missing(rec, lefts, from, math.min(upto, seen_below, rec.next))
  if not on and not promote(rec) then on = upto end
  if not on and writes == '1' then
    local anew = last >= seen_below and rec.serving >= rec.next and first < rec.next
    if anew and rec.from then
      on = upto  -- when what is gone is swept: it may have the same numbers
    else
      -- Nobody is in line, so the picture's own numbers may start it anew.
      if anew then restart_at(rec, first) end
      write_piece(rec, lefts, numbers, seen_below, first, last)
      promote(rec)
    end
  end
  commit(rec)
  return on and int(on) or 'ok'
end
