-- What a holder has taken into its own turn. It stands in flags, so a ticket that nothing of this
-- concerns is no longer for it:
--   n<upto>.<count>  of the holder: it wants to know who waits; how many it has absorbed, those that have
--                    left since included, and the highest number of them
--   a<number>        of a waiter: that holder has absorbed it; counts only while that number is served
-- Quick steps hand on what meets a holder with the first of them.

-- How many this ticket has absorbed, and up to which number; nil if it never asked.
local function absorbing(t)
  local upto, count = string.match(t.flags, 'n(%d+)%.(%d+)')
  return tonumber(count), tonumber(upto)
end

local function marked_by(t)
  return tonumber(string.match(t.flags, 'a(%d+)'))
end

-- The flags of whoever takes the place of a ticket in line.
local function flags_in_place_of(t, flags)
  local all = (flags == '-' and '' or flags) .. (has(t, 'i') and 'i' or '') .. (has(t, 's') and 's' or '') ..
    (string.match(t.flags, 'a%d+') or '')
  return all ~= '' and all or '-'
end

-- These flags without those that match, and with another one in their place.
local function with_flag(flags, pattern, flag)
  local others = string.gsub(flags, pattern, '')
  return (others == '-' and '' or others) .. flag
end

-- Let a message stay with the holder that has absorbed it, though its own owner leaves: the ticket has
-- ended, as if it had expired, and its message is done if the holder ends well. Return whether it is
-- such a ticket.
local function keep_absorbed(rec, t)
  local head = t.message ~= '-' and marked_by(t) == rec.serving and head_of(rec)
  if not head or not absorbing(head) then return false end
  t.expires = math.min(t.expires, now)
  write(rec, t)
  return true
end

-- Tell the holder, if it wants to know, of somebody who has come to wait behind it.
local function tell_listener(rec, t)
  local head = head_of(rec)
  if head and head ~= t and absorbing(head) and has(t, 'c') and marked_by(t) ~= rec.serving then
    mail(rec, head, status(rec, head))
  end
end

-- Have those leave whom a holder has absorbed that leaves after its body ended well. At most 250. `known`:
-- ",number,number,", of whom it was told, if that may not be all of them.
local function end_absorbed(rec, holder, known)
  local _, upto = absorbing(holder)
  local changed = false
  for first = holder.number + 1, upto or 0, PIECE do
    local texts = texts_of(rec, first, math.min(first + PIECE - 1, upto))
    for i = 1, #texts do
      local number = first + i - 1
      local t = ticket_of(rec, number, texts[i])
      if t and marked_by(t) == holder.number and
        (not known or string.find(known, ',' .. int(number) .. ',', 1, true)) then
        drop(rec, t, 'abandoned')
        changed = true
        if t.message ~= '-' then
          local field = 'm:' .. t.message
          local text = value_of(rec, field)
          local other = text and ticket_of(rec, whole(text, 'm:<message>'))
          if not other or other.expires <= now then  -- else it came again, and is that ticket's
            local lasts = t.remember_for or t.lifetime
            if text then del(rec, field) end
            remember(rec, t.message, now + lasts, lasts)
          end
        end
        if t.expires > now then
          local why = 'A ' .. int(holder.number)
          if t.owner ~= '-' then bury(rec, t.owner, number, why) end
          mail(rec, t, epitaph(number, why))
        end
      end
    end
  end
  if changed then new_version(rec) end
end

-- Take waiters out, one by one, that the holder has not absorbed, for a newer message: all of them, or
-- the oldest that lives. Return whether that is done; if it is not, it goes on when it is said again.
local function supersede_others(rec, only_oldest)
  if not only_oldest then
    answer_for(rec, rec.next)
    take_up_answers(rec)
  end
  for first = first_waiting(rec), rec.next - 1, PIECE do
    local texts, changed = texts_of(rec, first, math.min(first + PIECE, rec.next) - 1), false
    for i = 1, #texts do
      local number = first + i - 1
      local t = ticket_of(rec, number, texts[i])
      if t and marked_by(t) ~= rec.serving and (t.expires > now or not only_oldest) then
        if not only_oldest then note_answer(rec, t, rec.next) end
        drop(rec, t, 'abandoned')
        if t.owner ~= '-' then bury(rec, t.owner, number, 'X') end
        mail(rec, t, 'X ' .. int(number))
        new_version(rec)
        effort, changed = effort - COST, true
        if only_oldest then return true end
      end
    end
    if changed and effort <= 0 and first + PIECE < rec.next then
      put_answers_off(rec)
      return false
    end
  end
  return true
end
