//! What is promised, row by row, in the order of the table.

/// One row.
#[derive(Debug)]
pub(crate) struct Goal {
    /// Its name on the command line.
    pub(crate) row: &'static str,
    /// What is measured, and against what.
    pub(crate) what: &'static str,
    /// What is promised.
    pub(crate) promise: Promise,
}

/// A bound, and what the figures are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promise {
    /// This many times the rate of the other.
    AtLeast(f64),
    /// This part of the other's time.
    AtMost(f64),
    /// Less than this, in a unit.
    Under(f64, &'static str),
    /// Nothing: shown beside the row before it, for fairness.
    None,
}

/// Every row.
pub(crate) const GOALS: [Goal; 20] = [
    Goal {
        row: "ssh-1",
        what: "vault signatures, 1 client, against ssh-agent (ECDSA P-256)",
        promise: Promise::AtLeast(1.3),
    },
    Goal {
        row: "empty-1",
        what: "of that, gRPC alone: a health check of the same daemon, 1 client, against ssh-agent's signature",
        promise: Promise::None,
    },
    Goal {
        row: "ssh-8",
        what: "vault signatures, 8 clients, against ssh-agent with 8",
        promise: Promise::AtLeast(2.5),
    },
    Goal {
        row: "notary-signer-8",
        what: "vault signatures, 8 clients, against notary-signer with 8",
        promise: Promise::AtLeast(0.8),
    },
    Goal {
        row: "p256-64",
        what: "vault signatures, 64 clients, against p256 in-process on one thread",
        promise: Promise::AtLeast(1.0),
    },
    Goal {
        row: "p256-100",
        what: "100 documents in one request, against p256 in-process on one thread",
        promise: Promise::AtLeast(1.2),
    },
    Goal {
        row: "token-8",
        what: "PKCS#11 on SoftHSM, 8 clients, against a bare C_Sign loop with one session",
        promise: Promise::AtLeast(0.4),
    },
    Goal {
        row: "token-100",
        what: "the same token with 100 keys, against 1 key",
        promise: Promise::AtLeast(0.8),
    },
    Goal {
        row: "parsec-1",
        what: "PKCS#11 on SoftHSM, 1 client, against parsec",
        promise: Promise::AtLeast(10.0),
    },
    Goal {
        row: "parsec-8",
        what: "PKCS#11 on SoftHSM, 8 clients, against parsec with 8",
        promise: Promise::None,
    },
    Goal {
        row: "yubikey-adds",
        what: "YubiKey (in software, 50 ms a signature): what the daemon adds to a direct loop on the same card",
        promise: Promise::Under(5.0, "ms"),
    },
    Goal {
        row: "yubikey-ratio",
        what: "the same as a ratio: a signature by the daemon, against the direct loop's",
        promise: Promise::AtMost(1.1),
    },
    Goal {
        row: "start",
        what: "daemon with 100 vault keys: start to ready",
        promise: Promise::Under(100.0, "ms"),
    },
    Goal {
        row: "memory-100",
        what: "daemon with 100 vault keys: resident memory",
        promise: Promise::Under(20.0, "MiB"),
    },
    Goal {
        row: "memory-10000",
        what: "daemon with 10,000 vault keys: resident memory",
        promise: Promise::Under(40.0, "MiB"),
    },
    Goal {
        row: "sign-docker",
        what: "`touchmark sign` of one more tag, against `docker trust sign`",
        promise: Promise::AtMost(0.35),
    },
    Goal {
        row: "sign-notary",
        what: "`touchmark sign` of one more tag, against `notary addhash -p`",
        promise: Promise::AtMost(0.6),
    },
    Goal {
        row: "verify",
        what: "`touchmark verify`, warm cache, against `notary lookup`",
        promise: Promise::AtMost(0.4),
    },
    Goal { row: "help", what: "`touchmark --help`", promise: Promise::Under(10.0, "ms") },
    Goal { row: "size", what: "both programs, stripped", promise: Promise::Under(25.0, "MB") },
];

impl Goal {
    /// The promise as the table shows it.
    pub(crate) fn promised(&self) -> String {
        match self.promise {
            Promise::AtLeast(bound) => format!("≥ {bound} ×"),
            Promise::AtMost(bound) => format!("≤ {bound} ×"),
            Promise::Under(bound, unit) => format!("< {bound} {unit}"),
            Promise::None => "–".to_owned(),
        }
    }

    /// Whether it is kept, in a word.
    pub(crate) fn verdict(&self, figure: f64) -> &'static str {
        let is_met = match self.promise {
            Promise::AtLeast(bound) => figure >= bound,
            Promise::AtMost(bound) => figure <= bound,
            Promise::Under(bound, _) => figure < bound,
            Promise::None => return "",
        };
        if is_met { "met" } else { "**missed**" }
    }
}
