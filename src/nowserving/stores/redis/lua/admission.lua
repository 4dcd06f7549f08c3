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

-- The numbers from `first` to before `below` leave the line for a newer message. They are gone from
-- here on, and are told when they are swept.
local function supersede(rec, first, below)
  if first < below then rec.from = math.min(rec.from or first, first) end
  rec.below = below
  new_version(rec)
  set(rec, 'superseded_below', int(below))
end

-- The one that has waited longest leaves, and with it whoever has expired before it. If the walk to it
-- gets too long, return where it goes on.
local function drop_oldest(rec)
  if rec.from then sweep(rec) end  -- whoever has expired before is not superseded now
  local first = first_waiting(rec)
  local oldest, _, found = first_live(rec, first)
  supersede(rec, first, math.min(found and oldest + 1 or oldest, rec.next))
  if not found then return oldest end
end

-- Every waiter leaves for the ticket that is about to be issued; with `interrupt` the holder is
-- asked to.
local function clear_line(rec, interrupt)
  if rec.from then sweep(rec) end
  supersede(rec, first_waiting(rec), rec.next)
  local head = interrupt and ticket_of(rec, rec.serving)
  if head and not has(head, 'i') then
    head.flags = (head.flags == '-' and '' or head.flags) .. 'i'
    write(rec, head)
    mail(rec, head, status(rec, head))
  end
end
