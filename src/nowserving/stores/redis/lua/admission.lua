-- What only `take` needs: who is in line already, and who has to leave it.

-- Whether `limit` live tickets wait. If the walk got too long, second with what it goes on.
local function is_full(rec, limit, on)
  local from, left = string.match(on or '', '^(%d+) (%d+)$')
  if not left and waits_at_head(rec) then left = limit - 1 end
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
-- gets too long, return where it goes on, and how many more have to be found for the line to be full.
local function drop_oldest(rec)
  local head = waits_at_head(rec)
  if head then
    take_superseded(rec, head)
    supersede(rec, head.number + 1, head.number + 1)
    local ends, since = rec.settles_until, rec.burst_since
    local over = promote(rec)
    hold_back(rec, ends, since)  -- the burst goes on, though for a moment nobody may be in line
    if not over then return rec.next, 1 end
    return
  end
  head = head_of(rec)
  if head and absorbing(head) then
    supersede_others(rec, true)
    return
  end
  if rec.from then sweep(rec) end  -- whoever has expired before is not superseded now
  local first = first_waiting(rec)
  if rec.from then return first, 0 end  -- those who are left have had to leave for another
  local oldest, _, found = first_live(rec, first)
  supersede(rec, first, math.min(found and oldest + 1 or oldest, rec.next))
  if not found then return oldest, 0 end
end

-- Every waiter leaves for the ticket that is about to be issued, which answers for them, but for those
-- whom the holder has absorbed; with `interrupt` the holder is asked to. Return whether that is done.
-- `goes_on`: it was begun in an earlier call.
local function clear_line(rec, interrupt, goes_on)
  if rec.from then sweep(rec) end
  local holder, over = head_of(rec), true
  if holder and absorbing(holder) then
    over = supersede_others(rec, false)
  else
    local first = first_waiting(rec)
    if waits_at_head(rec) then
      first, rec.serving = rec.serving, rec.next
      set(rec, 'serving', int(rec.serving))
    end
    answer_for(rec, rec.next)
    if goes_on then take_up_answers(rec) end
    supersede(rec, first, rec.next)
    if rec.from then sweep(rec) end
  end
  local head = interrupt and head_of(rec)
  if head and not has(head, 'i') then
    head.flags = (head.flags == '-' and '' or head.flags) .. 'i'
    write(rec, head)
    mail(rec, head, status(rec, head))
  end
  return over
end
