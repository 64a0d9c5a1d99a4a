CREATE TABLE schema (
    version INTEGER PRIMARY KEY
) STRICT;

-- Single values: the random id of this state, whose machine it is, the largest time seen, settings.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys, by the canonical id of their public half.
CREATE TABLE keys (
    id        BLOB PRIMARY KEY CHECK (length(id) = 32),
    role      TEXT NOT NULL,             -- root, targets, snapshot, targets/NAME, audit
    public    BLOB NOT NULL,             -- SubjectPublicKeyInfo, DER
    origin    TEXT NOT NULL CHECK (origin IN ('generated', 'imported', 'found')),
    created   INTEGER NOT NULL,          -- seconds since 1970; 0: not known
    last_used INTEGER,
    sealed    BLOB,                      -- vault keys: the sealed private half
    token     TEXT,                      -- token keys: the token's name in the configuration,
    serial    TEXT,                      -- its serial number,
    handle    BLOB,                      -- CKA_ID
    label     TEXT,
    CHECK ((sealed IS NULL) <> (token IS NULL)),
    CHECK ((token IS NULL) = (serial IS NULL) AND (token IS NULL) = (handle IS NULL))
) STRICT;

-- The repositories that a key is bound to; part of what its seal covers.
CREATE TABLE key_guns (
    key BLOB NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    gun TEXT NOT NULL,
    PRIMARY KEY (key, gun)
) STRICT, WITHOUT ROWID;

-- The ways to open the vault.
CREATE TABLE ways (
    id      INTEGER PRIMARY KEY,
    token   TEXT UNIQUE,                 -- NULL: by passphrase
    serial  TEXT,
    handle  BLOB,                        -- CKA_ID of the key on the token
    public  BLOB,                        -- its public half
    way     BLOB NOT NULL,               -- the wrapped vault key
    created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_passphrase ON ways (token IS NULL) WHERE token IS NULL;

-- The certificate by which a root document lists a root key: one per key and repository.
CREATE TABLE certificates (
    key       BLOB NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    gun       TEXT NOT NULL,
    pem       BLOB NOT NULL,
    not_after INTEGER NOT NULL,
    PRIMARY KEY (key, gun)
) STRICT, WITHOUT ROWID;

-- Tokens as they were enrolled.
CREATE TABLE token_pins (
    token    TEXT PRIMARY KEY,
    serial   TEXT NOT NULL,
    public   BLOB,
    enrolled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Configured PINs that were sent and not yet accepted. Never a PIN, nor a hash of one.
CREATE TABLE pin_guard (
    serial TEXT NOT NULL,
    source TEXT NOT NULL,
    tried  INTEGER NOT NULL,
    PRIMARY KEY (serial, source)
) STRICT, WITHOUT ROWID;

-- The trusted root of each repository: its chain, the newest is trusted.
CREATE TABLE roots (
    gun     TEXT NOT NULL,
    version INTEGER NOT NULL,
    file    BLOB NOT NULL,               -- as published: envelope, canonical form, signatures
    PRIMARY KEY (gun, version)
) STRICT;

-- Documents that were signed here or accepted as a base. The newest of each role counts.
CREATE TABLE documents (
    gun       TEXT NOT NULL,
    role      TEXT NOT NULL,
    version   INTEGER NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32), -- SHA-256 of `signed`
    signed    BLOB NOT NULL,             -- the canonical bytes under the signatures
    source    TEXT NOT NULL CHECK (source IN ('signed', 'accepted')),
    published INTEGER NOT NULL CHECK (published IN (0, 1)),
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    PRIMARY KEY (gun, role, version)
) STRICT;

CREATE TABLE document_signatures (
    gun       TEXT NOT NULL,
    role      TEXT NOT NULL,
    version   INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    key       BLOB NOT NULL CHECK (length(key) = 32), -- the id under which the document's signer lists the key
    method    TEXT NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (gun, role, version, position),
    FOREIGN KEY (gun, role, version) REFERENCES documents ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Which content each version was given to. A version that was released never gets another one.
CREATE TABLE ledger (
    gun     TEXT NOT NULL,
    role    TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest  BLOB NOT NULL CHECK (length(digest) = 32), -- SHA-256 of the canonical bytes
    state   TEXT NOT NULL CHECK (state IN ('reserved', 'released', 'void')),
    holders INTEGER NOT NULL,            -- requests that hold the reservation now
    time    INTEGER NOT NULL,            -- milliseconds since 1970
    PRIMARY KEY (gun, role, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_reserved ON ledger (state) WHERE state = 'reserved';

-- What was done. hash = SHA-256(previous row's hash || json).
CREATE TABLE audit (
    seq  INTEGER PRIMARY KEY,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    time INTEGER NOT NULL,               -- milliseconds since 1970
    json TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
CREATE TRIGGER audit_keeps_text BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'audit rows are only appended'); END;

-- Heads of the audit, signed by the vault's audit key.
CREATE TABLE audit_heads (
    seq       INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    key       BLOB NOT NULL CHECK (length(key) = 32),
    public    BLOB NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;

-- Refusals, counted: one row per uid, reason and minute, so that nobody fills the disk from outside the policy.
CREATE TABLE refusals (
    uid    INTEGER NOT NULL,
    reason TEXT NOT NULL,
    minute INTEGER NOT NULL,             -- minutes since 1970
    count  INTEGER NOT NULL,
    PRIMARY KEY (uid, reason, minute)
) STRICT, WITHOUT ROWID;
