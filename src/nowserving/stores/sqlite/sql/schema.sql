-- schema: the tables of an empty database, version 1.
-- The version (PRAGMA user_version) and whose database it is (PRAGMA application_id) are set beside.
-- Moments are Unix seconds on the machine's clock. Names of conversations and messages are bytes:
-- SQLite takes any of them, but not every str.

-- One row a conversation. A line that nobody is in stays until `kept_until`.
CREATE TABLE lines (
  id INTEGER PRIMARY KEY,
  name BLOB NOT NULL UNIQUE,
  next INTEGER NOT NULL,
  serving INTEGER NOT NULL,
  token INTEGER NOT NULL,
  predecessor TEXT NOT NULL,
  superseded_below INTEGER NOT NULL,
  settles_until REAL NOT NULL,
  burst_since REAL NOT NULL,
  opened INTEGER NOT NULL,
  absorbing TEXT,  -- JSON: by, taken, upto
  kept_until REAL NOT NULL,
  written REAL NOT NULL  -- when; later than now, the clock was set back
);
CREATE INDEX lines_by_end ON lines (kept_until);

-- One row a ticket. An owner is "<process>.<count>"; one without a dot is the secret of a ticket
-- that nobody has claimed; an empty one is nobody.
CREATE TABLE tickets (
  line INTEGER NOT NULL,
  number INTEGER NOT NULL,
  owner TEXT NOT NULL,
  expires REAL NOT NULL,
  lifetime REAL NOT NULL,
  flags INTEGER NOT NULL,  -- 1 claimed, 2 renewed, 4 interrupted
  served_at REAL,
  joined REAL NOT NULL,
  absorbed_by INTEGER NOT NULL,
  message_id BLOB,
  label BLOB,
  remember_for REAL,
  answers TEXT,  -- JSON: count, messages ...
  PRIMARY KEY (line, number)
) WITHOUT ROWID;
CREATE INDEX tickets_by_message ON tickets (line, message_id) WHERE message_id IS NOT NULL;

-- Messages that are done, each with a time of its own: remembered for days they keep no line.
CREATE TABLE done (
  message BLOB PRIMARY KEY,  -- a digest of conversation and message
  until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX done_by_end ON done (until);

-- Why somebody else has taken a ticket out.
CREATE TABLE tombstones (
  line INTEGER NOT NULL,
  owner TEXT NOT NULL,
  why TEXT NOT NULL,
  until REAL NOT NULL,
  PRIMARY KEY (line, owner)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_end ON tombstones (until);

-- The processes that use the database, and where each of them is told of its tickets.
CREATE TABLE processes (
  name TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started INTEGER NOT NULL,
  address BLOB NOT NULL  -- of its socket; empty where it has none
) WITHOUT ROWID;
