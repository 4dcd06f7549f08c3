-- tickets: those of one line. Each of these costs the same however long the line is, but for what
-- it returns or takes out.

-- name: find_ticket
-- Takes: line, number. Returns: every column but the line, as all of these do.
SELECT number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id, label,
  remember_for, answers
FROM tickets WHERE line = ? AND number = ?;

-- name: find_tickets
-- Takes: line, first and last number.
SELECT number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id, label,
  remember_for, answers
FROM tickets WHERE line = ? AND number BETWEEN ? AND ? ORDER BY number;

-- name: find_live_ticket
-- Takes: line, the number that it is behind, now.
SELECT number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id, label,
  remember_for, answers
FROM tickets WHERE line = ? AND number > ? AND expires > ? ORDER BY number LIMIT 1;

-- name: find_ticket_of_message
-- Takes: line, message, now.
SELECT number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id, label,
  remember_for, answers
FROM tickets INDEXED BY tickets_by_message WHERE line = ? AND message_id = ? AND expires > ? LIMIT 1;

-- name: count_waiting
-- Takes: line, the number that is served, now, up to how many. Returns: how many wait.
SELECT count(*) FROM (
  SELECT 1 FROM tickets
  WHERE line = ? AND number >= ? AND served_at IS NULL AND expires > ? LIMIT ?
);

-- name: add_ticket
-- Takes: every column.
INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: write_ticket
-- Takes: what may change, then line and number.
UPDATE tickets SET expires = ?, lifetime = ?, flags = ?, served_at = ?, absorbed_by = ?,
  message_id = ?, label = ?, remember_for = ?, answers = ?
WHERE line = ? AND number = ?;

-- name: remove_ticket
-- Takes: line, number.
DELETE FROM tickets WHERE line = ? AND number = ?;

-- name: remove_tickets
-- Takes: line, first and last number.
DELETE FROM tickets WHERE line = ? AND number BETWEEN ? AND ?;

-- name: shift_tickets
-- Takes: three times by how many seconds the clock was set back, then the line.
UPDATE tickets SET expires = expires - ?, served_at = served_at - ?, joined = joined - ?
WHERE line = ?;
