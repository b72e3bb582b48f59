"""The tables.  Times are nanoseconds since 1970.

Rules that keep 20,000 spans a second possible:

- Spans are not rows.  What came of one trace in one request is a *piece*: the spans as OTLP has
  them, packed.  It is decoded when somebody looks at the trace.
- Ids of traces grow with their arrival, and pieces are numbered inside their trace: what is written
  goes to the end of each table, and the oldest is a range at its beginning.
- What views sum up (blockers, leaks, flow) is a table of its own, filled while spans pass.
"""

VERSION = 1
"""Of the tables; a file of another version is put aside."""

PIECES = 1 << 20
"""Pieces that one trace may have; the id of a piece is that of its trace times this."""

TABLES = """
CREATE TABLE services (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL
);
CREATE TABLE processes (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    service INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
);
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (service, name)
);
CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,
    arrived INTEGER NOT NULL,
    service INTEGER NOT NULL,
    name TEXT NOT NULL,
    rooted INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    blocked REAL NOT NULL,
    delayed REAL NOT NULL,
    failed INTEGER NOT NULL,
    run REAL,
    ready REAL,
    wait REAL,
    pieces INTEGER NOT NULL
);
CREATE INDEX traces_with_errors ON traces (id) WHERE errors > 0;
CREATE INDEX traces_blocked ON traces (id) WHERE blocked > 0;
CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE trace_services (
    service INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (service, trace)
) WITHOUT ROWID;
CREATE TABLE trace_names (
    name INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (name, trace)
) WITHOUT ROWID;
CREATE TABLE links (
    target BLOB NOT NULL,
    trace INTEGER NOT NULL,
    span_id BLOB NOT NULL,
    target_span BLOB NOT NULL,
    reason TEXT,
    PRIMARY KEY (target, trace, span_id, target_span)
) WITHOUT ROWID;
CREATE INDEX links_of_trace ON links (trace);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    trace INTEGER NOT NULL,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    process INTEGER NOT NULL,
    async_id INTEGER,
    at INTEGER NOT NULL,
    service INTEGER NOT NULL,
    name TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    function TEXT,
    seconds REAL NOT NULL,
    delayed INTEGER NOT NULL,
    delayed_names TEXT NOT NULL,
    stack TEXT
);
CREATE INDEX blocks_of_resource ON blocks (process, async_id);
CREATE TABLE leaks (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    function TEXT NOT NULL,
    outcome TEXT NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    UNIQUE (service, type, name, file, line, function, outcome)
);
CREATE TABLE flow_nodes (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    function TEXT NOT NULL,
    number INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    duration REAL NOT NULL,
    split INTEGER NOT NULL,
    run REAL NOT NULL,
    ready REAL NOT NULL,
    wait REAL NOT NULL,
    UNIQUE (service, type, name, file, line, function)
);
CREATE TABLE flow_edges (
    "from" INTEGER NOT NULL,
    "to" INTEGER NOT NULL,
    link INTEGER NOT NULL,
    number INTEGER NOT NULL,
    between_total REAL NOT NULL,
    between_max REAL NOT NULL,
    PRIMARY KEY ("from", "to", link)
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    metric TEXT NOT NULL,
    attributes TEXT NOT NULL,
    kind TEXT NOT NULL,
    grows INTEGER NOT NULL,
    delta INTEGER NOT NULL,
    unit TEXT NOT NULL,
    description TEXT NOT NULL,
    UNIQUE (process, metric, attributes)
);
CREATE TABLE points (
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value REAL,
    since INTEGER,
    buckets TEXT,
    PRIMARY KEY (series, at)
) WITHOUT ROWID;
"""
