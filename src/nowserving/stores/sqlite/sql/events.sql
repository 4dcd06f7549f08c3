-- events: what happened, where a history is kept. Made with the first event; no part of the version.

-- name: has_events
-- Returns: a row if the tables are there.
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stream';

-- name: make_events
-- The last events of each conversation. `text` is JSON (protocol/history.py).
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name BLOB NOT NULL,
  at REAL NOT NULL,
  text TEXT NOT NULL
);

-- name: make_events_by_name
CREATE INDEX IF NOT EXISTS events_by_name ON events (name, id);

-- name: make_stream
-- The last events of all of them together.
CREATE TABLE IF NOT EXISTS stream (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  text TEXT NOT NULL
);

-- name: add_event
-- Takes: name, when it was, text.
INSERT INTO events (name, at, text) VALUES (?, ?, ?);

-- name: add_to_stream
-- Takes: when it was, text.
INSERT INTO stream (at, text) VALUES (?, ?);

-- name: trim_events
-- Takes: name, the same, how many stay.
DELETE FROM events WHERE name = ? AND id <= (
  SELECT id FROM events WHERE name = ? ORDER BY id DESC LIMIT 1 OFFSET ?
);

-- name: trim_stream
-- Takes: how many stay.
DELETE FROM stream WHERE id <= (SELECT id FROM stream ORDER BY id DESC LIMIT 1) - ?;

-- name: forget_events
-- Takes: until when they are too old, how many are looked at.
DELETE FROM events WHERE at < ? AND id IN (SELECT id FROM events ORDER BY id LIMIT ?);

-- name: forget_stream
-- Takes: the same.
DELETE FROM stream WHERE at < ? AND id IN (SELECT id FROM stream ORDER BY id LIMIT ?);

-- name: last_events
-- Takes: name, since when, how many. Returns: texts, the last one first.
SELECT text FROM events WHERE name = ? AND at >= ? ORDER BY id DESC LIMIT ?;

-- name: last_of_stream
-- Takes: since when, how many. Returns: the same.
SELECT text FROM stream WHERE at >= ? ORDER BY id DESC LIMIT ?;

-- name: end_of_events
-- Returns: the last id, whatever conversation it is of: what comes has a greater one.
SELECT max(id) FROM events;

-- name: end_of_stream
-- Returns: the last id.
SELECT max(id) FROM stream;

-- name: events_behind
-- Takes: name, an id, how many. Returns: id and text of those behind it.
SELECT id, text FROM events WHERE name = ? AND id > ? ORDER BY id LIMIT ?;

-- name: stream_behind
-- Takes: an id, how many. Returns: the same.
SELECT id, text FROM stream WHERE id > ? ORDER BY id LIMIT ?;
