-- save: merge a caller's picture of the line.
-- KEYS: the record.
-- ARGV: seen_below, then "number expires_in" (us; may be negative) for each ticket of the picture
--       in the order of their numbers: all of them one text, since a line may be of any length and
--       Lua passes some thousand arguments at the most.
-- Returns: "ok". Tickets below seen_below that the picture lacks are removed and their owners
--       told; those it has get its expiry; new ones join unclaimed; later ones are left alone.
function verbs.save(key, seen_below, tickets)
  local rec = load(key)
  seen_below = tonumber(seen_below)
  if rec.missing then
    set(rec, 'next', '0')
    set(rec, 'serving', '0')
    set(rec, 'token', '0')
  end
  new_mark(rec)
  settle(rec)

  local picture, numbers, longest = {}, {}, 1000000
  for number, left in string.gmatch(tickets, '(%d+) (%-?%d+)') do
    number, left = tonumber(number), tonumber(left)
    picture[number] = left
    numbers[#numbers + 1] = number
    longest = math.max(longest, left)
  end
  for number = rec.serving, math.min(seen_below, rec.next) - 1 do
    local t = not picture[number] and ticket_of(rec, number)
    if t then
      drop(rec, t, 'released')
      mail(rec, t, 'G ' .. int(number))
    end
  end
  settle(rec)

  local last = numbers[#numbers]
  if last and last >= seen_below and rec.serving >= rec.next and numbers[1] < rec.next then
    -- Nobody is in line, so the picture's own numbers may start it anew: order and identity
    -- never rest on a number alone.
    rec.next, rec.serving = numbers[1], numbers[1]
    set(rec, 'serving', int(rec.serving))
    rec.tickets, rec.below = {}, 0
    set(rec, 'superseded_below', '0')
  end
  for _, number in ipairs(numbers) do
    local left = picture[number]
    local t = number < rec.next and ticket_of(rec, number)
    if t then
      t.expires = now + left
      write(rec, t)
    elseif number >= rec.next and left > 0 then
      write(rec, {number = number, expires = now + left, lifetime = left, served_at = 0,
                  flags = '-', owner = '-', message = '-'})
      rec.next = number + 1
    end
  end
  set(rec, 'next', int(rec.next))
  set(rec, 'opened', '1')
  keep(rec, now + 2 * longest, longest)
  settle(rec)
  commit(rec)
  return 'ok'
end
