-- processes: those that use the database.

-- name: add_process
-- Takes: every column.
INSERT OR REPLACE INTO processes VALUES (?, ?, ?, ?, ?);

-- name: find_process
-- Takes: name. Returns: host, pid, started, address.
SELECT host, pid, started, address FROM processes WHERE name = ?;

-- name: drop_process
-- Takes: name.
DELETE FROM processes WHERE name = ?;

-- name: find_lines_of_process
-- Takes: "<name>." and "<name>/", between which its owners are. Returns: the ids of the lines in
-- which it has tickets. Reads all tickets: an index would cost every turn, and processes die seldom.
SELECT DISTINCT line FROM tickets WHERE owner > ? AND owner < ?;

-- name: expire_tickets_of_process
-- Takes: now, the same two, a line.
UPDATE tickets SET expires = min(expires, ?) WHERE owner > ? AND owner < ? AND line = ?;
