-- messages: those that are done, and why tickets are gone.

-- name: remember
-- Takes: message, until when.
INSERT OR REPLACE INTO done VALUES (?, ?);

-- name: remembers
-- Takes: message, now. Returns: a row if it is remembered.
SELECT 1 FROM done WHERE message = ? AND until > ?;

-- name: forget_messages
-- Takes: now, how many at the most.
DELETE FROM done WHERE message IN (SELECT message FROM done WHERE until <= ? ORDER BY until LIMIT ?);

-- name: bury
-- Takes: line, owner, why, until when.
INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?);

-- name: find_tombstone
-- Takes: line, owner, now. Returns: why.
SELECT why FROM tombstones WHERE line = ? AND owner = ? AND until > ?;

-- name: forget_tombstones
-- Takes: now, how many at the most.
DELETE FROM tombstones WHERE (line, owner) IN (
  SELECT line, owner FROM tombstones WHERE until <= ? ORDER BY until LIMIT ?
);
