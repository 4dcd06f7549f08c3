-- Which messages a turn answers for: those that had to leave for its own.
--   a:<number>   what the ticket with this number answers for, if it has the flag "s": how many those are,
--                then a line for each of the first MOST_ANSWERS: its number, and its message as in e:<number>
--   a:next       the same of a ticket that is not issued yet, since that takes several calls; whichever
--                supersedes next answers for them
-- They are noted by the sweep, when it takes out who was superseded: the ticket for which they had to
-- leave has the number `superseded_below`.
local MOST_ANSWERS = 1000
local NOT_ISSUED_YET = 'a:next'

local function answers_of(number)
  return 'a:' .. int(number)
end

local function read_answers(rec, field)
  local text = value_of(rec, field)
  local answers = {count = 0}
  for line in string.gmatch(text or '', '[^\n]+') do answers[#answers + 1] = line end
  if text then answers.count = whole(table.remove(answers, 1), field) end
  return answers
end

-- Note for whom the ticket answers that was superseded last: a ticket that had to leave, and those that
-- had left for that one. Nobody answers for one that was only dropped.
local function note_answer(rec, t, for_)
  local winner = for_ or rec.below
  if rec.winner ~= winner then
    local its = ticket_of(rec, winner)
    if not its or not has(its, 's') then return end
    rec.winner = winner
  end
  rec.answers = rec.answers or read_answers(rec, answers_of(winner))
  local answers = rec.answers
  if has(t, 's') then
    local its = read_answers(rec, answers_of(t.number))
    answers.count = answers.count + its.count
    for i = 1, #its do
      if #answers < MOST_ANSWERS then answers[#answers + 1] = its[i] end
    end
  end
  answers.count = answers.count + 1
  if #answers < MOST_ANSWERS then
    answers[#answers + 1] = int(t.number) .. ' ' .. string.match(extras_of(rec, t), '(%S+)$')
  end
end

local function set_answers(rec, field, answers)
  set(rec, field, int(answers.count) .. '\n' .. table.concat(answers, '\n'))
end

-- Collect what is noted from now on for a ticket that is about to be issued.
local function answer_for(rec, winner)
  rec.winner, rec.answers = winner, nil
end

-- Leave what was collected to the call that goes on with issuing it.
local function put_answers_off(rec)
  if rec.answers then set_answers(rec, NOT_ISSUED_YET, rec.answers) end
  answer_for(rec, nil)
end

-- Collect what was put off as well.
local function take_up_answers(rec)
  local answers = read_answers(rec, NOT_ISSUED_YET)
  if answers.count > 0 then
    rec.answers = answers
    del(rec, NOT_ISSUED_YET)
  end
end

local function write_answers(rec)
  if rec.answers then set_answers(rec, answers_of(rec.winner), rec.answers) end
end
