-- lines: the row of a conversation.

-- name: find_line
-- Takes: name. Returns: the row, beside the first two tickets from the one that is served on, in
-- their order; one row without a ticket if there is none. Nearly every verb needs no other.
SELECT lines.*, number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id,
  label, remember_for, answers
FROM lines LEFT JOIN tickets ON line = id AND number >= serving
WHERE name = ? ORDER BY number LIMIT 2;

-- name: find_line_by_id
-- Takes: id. Returns: the same.
SELECT lines.*, number, owner, expires, lifetime, flags, served_at, joined, absorbed_by, message_id,
  label, remember_for, answers
FROM lines LEFT JOIN tickets ON line = id AND number >= serving
WHERE id = ? ORDER BY number LIMIT 2;

-- name: add_line
-- Takes: name, when it is written.
INSERT INTO lines VALUES (NULL, ?, 0, 0, 0, 'none', 0, 0, 0, 0, NULL, 0, ?);

-- name: write_line
-- Takes: every column but id and name, then the id.
UPDATE lines SET next = ?, serving = ?, token = ?, predecessor = ?, superseded_below = ?,
  settles_until = ?, burst_since = ?, opened = ?, absorbing = ?, kept_until = ?, written = ?
WHERE id = ?;

-- name: list_lines
-- Takes: an id, how many. Returns: id and name of the lines behind it.
SELECT id, name FROM lines WHERE id > ? ORDER BY id LIMIT ?;

-- name: find_idle_lines
-- Takes: now, how many. Returns: the ids of lines whose time is over.
SELECT id FROM lines WHERE kept_until <= ? ORDER BY kept_until LIMIT ?;

-- name: drop_line
-- Takes: id.
DELETE FROM lines WHERE id = ?;

-- name: drop_tickets_of_line
-- Takes: id.
DELETE FROM tickets WHERE line = ?;

-- name: drop_tombstones_of_line
-- Takes: id.
DELETE FROM tombstones WHERE line = ?;

-- name: list_tickets
-- Takes: line and number of a ticket, how many. Returns: the tickets behind it, in their order, each
-- beside id, name, served number and moment of writing of its line.
SELECT id, name, serving, written, number, owner, expires, lifetime, flags, served_at, joined,
  absorbed_by, message_id, label, remember_for, answers
FROM tickets CROSS JOIN lines ON id = line
WHERE (line, number) > (?, ?) ORDER BY line, number LIMIT ?;
