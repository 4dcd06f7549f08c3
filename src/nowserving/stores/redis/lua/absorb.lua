-- absorb: the holder takes those who wait behind it into its own turn.
-- KEYS: the record.
-- ARGV: number, owner, how many it may have absorbed altogether then, the number to go on from (-1:
--       from the first one that waits).
-- Returns: a list: the holder's status (any but "S ..." and "I ...": then nothing else follows);
--       how many it has absorbed, "1" if somebody waits whom it might absorb (else "0"), the number
--       to go on from (-1: that was all), then for each absorbed ticket in line "number waited extras"
--       (waited in us; extras: see e:<number>, "- -" for none). "?on" as every verb.
function verbs.absorb(key, number, owner, most, from)
  local rec = load(key, number)
  if rec.missing then return {epitaph(number)} end
  number = tonumber(number)
  if not promote(rec) then return unfinished(rec) end
  local head = rec.extra1 and ticket_of(rec, number, rec.extra1)
  if not head or head.owner ~= owner or head.expires <= now then
    commit(rec)
    return {epitaph(number, why_gone(rec, number, owner, rec.extra1))}
  end
  if head.served_at == 0 then  -- it holds nothing
    local answer = {status(rec, head)}
    commit(rec)
    return answer
  end
  local count, upto = absorbing(head)
  count, upto = count or 0, upto or number
  local room, more, further, found = math.min(tonumber(most), 250) - count, '0', -1, {}
  for first = math.max(first_waiting(rec), tonumber(from)), rec.next - 1, PIECE do
    if more == '1' and first > upto then break end
    if effort <= 0 then
      further = first
      break
    end
    local texts = texts_of(rec, first, math.min(first + PIECE, rec.next) - 1)
    for i = 1, #texts do
      local t = texts[i] and lives(texts[i]) and ticket_of(rec, first + i - 1, texts[i])
      local mine = t and marked_by(t) == number
      if t and not mine and has(t, 'c') then
        if room > 0 then
          t.flags = with_flag(t.flags, 'a%d+', 'a' .. int(number))
          write(rec, t)
          mine, room, count = true, room - 1, count + 1
          effort = effort - COST
        else
          more = '1'
        end
      end
      if mine then
        found[#found + 1], upto = t, math.max(upto, t.number)
      end
    end
  end
  local flags = with_flag(head.flags, 'n%d+%.%d+', 'n' .. int(upto) .. '.' .. int(count))
  if head.flags ~= flags then
    head.flags = flags
    write(rec, head)
  end
  local answer = {status(rec, head), int(count), more, int(further)}
  for i = 1, #found do
    local t = found[i]
    answer[i + 4] = int(t.number) .. ' ' .. int(math.max(now - t.joined, 0)) .. ' ' .. extras_of(rec, t)
  end
  commit(rec)
  return answer
end
