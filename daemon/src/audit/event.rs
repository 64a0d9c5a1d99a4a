//! The kinds of rows and their fields. Field names and kinds are part of the record's format: they are added to, and
//! never change meaning. Ids and digests are written as hexadecimal text.
use std::fmt;

use serde::Serialize;

/// Names one request in the log, the audit and the client's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 8]);

impl RequestId {
    /// A new one, at random.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How a signing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A signature may have left the daemon.
    Released,
    /// None did.
    Void,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs)] // the fields' names say it; docs/formats.md explains them
pub enum Event {
    /// The daemon started.
    Start { version: String },
    /// The daemon ended in order.
    Stop {},
    /// The state lies on another machine or in another file than before: all roles are unconfirmed.
    StateMoved {},
    /// After a crash: versions that were reserved count as released.
    LedgerRecovered { count: u64 },

    /// About to sign. Without an outcome after it, a signature may have left.
    Intent {
        request: String,
        uid: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        gun: String,
        role: String,
        version: u64,
        digest: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        previous: Option<String>,
        keys: Vec<String>,
        differences: Vec<String>,
        more_differences: usize,
    },
    /// How it ended.
    Outcome {
        request: String,
        gun: String,
        role: String,
        version: u64,
        digest: String,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A request was refused; counted together with others of its minute.
    Refused { uid: u32, reason: &'static str, message: String },
    /// A verified document of the server became the base.
    BaseAccepted { request: String, uid: u32, gun: String, role: String, version: u64, digest: String },
    /// A root of other people became trusted, pinned by the caller or on first use.
    RootFirstUse {
        request: String,
        uid: u32,
        gun: String,
        version: u64,
        root_keys: Vec<String>,
        pinned: bool,
    },
    /// The trusted root moved along its chain.
    RootMoved { request: String, uid: u32, gun: String, version: u64, digest: String },
    /// A token signed after its request was gone; the signature was destroyed.
    Orphaned { token: String, what: String },
    /// An administrator let a version go.
    LedgerReleased { uid: u32, gun: String, role: String, version: u64, reason: String },
    /// An administrator had the clock believed again, which was behind a time seen before by so many milliseconds.
    ClockBelieved { uid: u32, behind_ms: i64, reason: String },

    /// A root certificate is about to be signed.
    CertificateIntent { request: String, uid: u32, gun: String, key: String, tbs_digest: String },
    /// A root certificate was made, and replaces one from now on.
    Certificate {
        request: String,
        uid: u32,
        gun: String,
        key: String,
        listed_as: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
    },
    /// None was.
    CertificateFailed { request: String, uid: u32, gun: String, key: String, why: String },

    /// A root key is about to seal a ceremony's transcript.
    TranscriptIntent {
        request: String,
        uid: u32,
        key: String,
        title: String,
        plan: String,
        entries: u64,
        head: String,
        signatures: usize,
        repositories: usize,
    },
    /// It did.
    TranscriptSealed { request: String, uid: u32, key: String, entries: u64, head: String },
    /// It did not.
    TranscriptNotSealed { request: String, uid: u32, key: String, why: String },

    /// A key was made.
    KeyCreated { uid: u32, key: String, role: String, guns: Vec<String>, place: String },
    /// A key came from a file.
    KeyImported { uid: u32, key: String, role: String, guns: Vec<String>, place: String },
    /// A key that was on a token already is known now.
    KeyFound { uid: u32, key: String, role: String, place: String },
    /// A key was taken away.
    KeyRemoved { uid: u32, key: String, role: String, guns: Vec<String>, place: String },

    /// The vault was made.
    VaultCreated { uid: u32, method: String, token: String, serial: String },
    /// One more way to open it, or one replaced.
    VaultWayAdded { uid: u32, method: String, token: String, serial: String },
    /// One fewer.
    VaultWayRemoved { uid: u32, method: String, token: String },
    /// It was opened.
    VaultOpened { uid: u32, method: String, token: String, keys: usize },
    /// It did not open.
    VaultNotOpened { uid: u32, method: String, token: String, why: String },
    /// It was closed.
    VaultLocked { uid: u32, why: String },
    /// A sealed copy was handed out.
    VaultBackedUp { uid: u32 },
    /// A sealed copy was taken in.
    VaultRestored { uid: u32, keys: usize },

    /// A token was pinned by its serial number.
    TokenEnrolled { uid: u32, token: String, serial: String },
    /// A token was set up.
    TokenInitialised { uid: u32, token: String, serial: String },
    /// A token accepted a PIN.
    TokenUnlocked { uid: u32, token: String, serial: String },
    /// A token refused a PIN.
    PinRefused {
        uid: u32,
        token: String,
        serial: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tries_left: Option<u32>,
    },
    /// A configured PIN is about to be sent.
    PinTried { token: String, serial: String, source: String },
    /// A secret came with a handle that is unknown, used, dead or another uid's.
    SecretRefused { uid: u32, why: String },
}
