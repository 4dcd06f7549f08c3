-- What only `take` needs: who is in line already, and who has to leave it.

-- Whether `limit` live tickets wait. If the walk got too long, second with what it goes on.
local function is_full(rec, limit, on)
  local from, left = string.match(on or '', '^(%d+) (%d+)$')
  from, left = math.max(tonumber(from) or 0, first_waiting(rec)), tonumber(left) or limit
  for first = from, rec.next - 1, PIECE do
    if left <= 0 or rec.next - first < left then break end
    if effort <= 0 then return nil, int(first) .. ' ' .. int(left) end
    local texts = texts_of(rec, first, math.min(first + PIECE, rec.next) - 1)
    for i = 1, #texts do
      if texts[i] and lives(texts[i]) then left = left - 1 end
    end
  end
  return left <= 0
end

-- Every waiter leaves for the ticket that is about to be issued; with `interrupt` the holder is
-- asked to. They are gone from here on, and are told when they are swept.
local function supersede(rec, interrupt)
  if rec.from then sweep(rec) end  -- whoever has expired before is not superseded now
  local first = first_waiting(rec)
  if first < rec.next then rec.from = math.min(rec.from or first, first) end
  rec.below = rec.next
  new_version(rec)
  set(rec, 'superseded_below', int(rec.below))
  local head = interrupt and ticket_of(rec, rec.serving)
  if head and not has(head, 'i') then
    head.flags = (head.flags == '-' and '' or head.flags) .. 'i'
    write(rec, head)
    mail(rec, head, status(rec, head))
  end
end
