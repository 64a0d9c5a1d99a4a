//! The stable reasons: what a caller can act on. Texts may change, these may not.
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `google.rpc.ErrorInfo.domain` of every error of the daemon.
pub const DOMAIN: &str = "touchmark";
/// Metadata key of the request id in `ErrorInfo`.
const REQUEST_ID: &str = "request_id";
const HINT: &str = "hint";
const TRIES_LEFT: &str = "tries_left";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $code:ident, $exit:literal;)+) => {
        /// Why something was refused or failed, as scripts see it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in `ErrorInfo.reason` and in JSON errors.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
            /// The gRPC code that carries it; reasons of the client alone travel nowhere and say `Unknown`.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)+ }
            }
            /// The exit code of `touchmark`.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit,)+ }
            }
        }
    };
}

reasons! {
    /// A field of the request is wrong.
    InvalidField = "INVALID_FIELD", InvalidArgument, 2;
    /// The document is not exactly what may be signed.
    InvalidDocument = "INVALID_DOCUMENT", InvalidArgument, 2;
    /// No such key, or none that the caller may see.
    KeyUnknown = "KEY_UNKNOWN", NotFound, 2;
    /// No such token in the configuration.
    TokenUnknown = "TOKEN_UNKNOWN", NotFound, 2;
    /// Client: a file of a ceremony is damaged, or is not what was agreed on.
    CeremonyInvalid = "CEREMONY_INVALID", Unknown, 2;
    /// Client: the registry has no such tag.
    TagNotFound = "TAG_NOT_FOUND", Unknown, 2;
    /// Client: something has to be asked and there is no terminal.
    NoTerminal = "NO_TERMINAL", Unknown, 2;
    /// Client: bad usage.
    Usage = "USAGE", Unknown, 2;
    /// Client: nobody listens on the socket.
    DaemonUnreachable = "DAEMON_UNREACHABLE", Unknown, 3;
    /// Client: the daemon lacks what the command needs.
    DaemonTooOld = "DAEMON_TOO_OLD", Unimplemented, 3;
    /// The token is not there. A retry helps once it is.
    TokenNotPresent = "TOKEN_NOT_PRESENT", Unavailable, 4;
    /// The token or its module failed. A retry may help.
    TokenFailed = "TOKEN_FAILED", Unavailable, 4;
    /// What opens the token is still as the factory sets it: it wants `token init` first.
    TokenNotReady = "TOKEN_NOT_READY", FailedPrecondition, 4;
    /// Another token answers than the enrolled one.
    TokenMismatch = "TOKEN_MISMATCH", FailedPrecondition, 4;
    /// Another request holds the token. A retry helps later.
    TokenBusy = "TOKEN_BUSY", ResourceExhausted, 4;
    /// Nobody touched the token in time.
    TouchTimeout = "TOUCH_TIMEOUT", DeadlineExceeded, 4;
    /// A PIN is needed and none came.
    PinRequired = "PIN_REQUIRED", FailedPrecondition, 4;
    /// The PIN or passphrase was refused; `tries_left` says what remains.
    WrongPin = "WRONG_PIN", FailedPrecondition, 4;
    /// The token refuses every PIN.
    PinLocked = "PIN_LOCKED", FailedPrecondition, 4;
    /// The vault is closed.
    VaultLocked = "VAULT_LOCKED", FailedPrecondition, 4;
    /// There is no vault yet.
    VaultMissing = "VAULT_MISSING", FailedPrecondition, 4;
    /// This uid may not do that.
    NotAllowed = "NOT_ALLOWED", PermissionDenied, 5;
    /// The document's change is not one that anybody may make.
    PolicyRefused = "POLICY_REFUSED", PermissionDenied, 5;
    /// The version is below the one last signed or accepted.
    VersionRegression = "VERSION_REGRESSION", FailedPrecondition, 5;
    /// Another document was signed under this version.
    VersionReused = "VERSION_REUSED", FailedPrecondition, 5;
    /// The daemon has not seen the document that this one follows.
    BaseUnknown = "BASE_UNKNOWN", FailedPrecondition, 5;
    /// The record could not be written, so nothing was signed.
    AuditUnavailable = "AUDIT_UNAVAILABLE", Unavailable, 5;
    /// The daemon holds as many bytes or requests as it may. A retry helps.
    Overloaded = "OVERLOADED", ResourceExhausted, 5;
    /// The state changed between two steps of one command. A retry helps.
    Conflict = "CONFLICT", Aborted, 5;
    /// Client: the plan of a ceremony is out of date: time or the trust server has moved on.
    PlanOutdated = "PLAN_OUTDATED", Unknown, 5;
    /// Client: it is from a rehearsal, and is not to be taken for the real thing.
    RehearsalOnly = "REHEARSAL_ONLY", Unknown, 5;
    /// Client: signatures are still missing, or published roots to compare with.
    CeremonyIncomplete = "CEREMONY_INCOMPLETE", Unknown, 1;
    /// Client: the repository has no trust data.
    NoTrustData = "NO_TRUST_DATA", Unknown, 1;
    /// Client: the tag is not signed.
    TagNotSigned = "TAG_NOT_SIGNED", Unknown, 1;
    /// Client: a document has expired.
    Expired = "EXPIRED", Unknown, 1;
    /// Client: a document is older than one already seen.
    Rollback = "ROLLBACK", Unknown, 1;
    /// Client: the root of trust is another one, without the old one's signature.
    RootChanged = "ROOT_CHANGED", Unknown, 1;
    /// Client: the root is not the pinned one.
    PinMismatch = "PIN_MISMATCH", Unknown, 1;
    /// Client: too few valid signatures.
    SignatureInvalid = "SIGNATURE_INVALID", Unknown, 1;
    /// Client: bytes do not have the digest that was signed for them.
    HashMismatch = "HASH_MISMATCH", Unknown, 1;
    /// Client: nothing proves that a key was made on the token, and that the token is a real one.
    NotAttested = "NOT_ATTESTED", Unknown, 1;
    /// Client: a document is not in the form that it must have.
    TrustDataInvalid = "TRUST_DATA_INVALID", Unknown, 1;
    /// Client: somebody else published first, again and again.
    PublishConflict = "PUBLISH_CONFLICT", Unknown, 6;
    /// Client: the image is pushed, its signature is not published.
    PartlyPublished = "PARTLY_PUBLISHED", Unknown, 6;
    /// Client: the server wants other credentials.
    Unauthorized = "UNAUTHORIZED", Unknown, 6;
    /// Client: the server's certificate does not verify.
    TlsUntrusted = "TLS_UNTRUSTED", Unknown, 6;
    /// Client: no answer from the registry, or a wrong one.
    RegistryUnreachable = "REGISTRY_UNREACHABLE", Unknown, 6;
    /// Client: no answer from the trust server, or a wrong one.
    TrustServerUnreachable = "TRUST_SERVER_UNREACHABLE", Unknown, 6;
    /// Client: no Docker Engine.
    EngineUnreachable = "ENGINE_UNREACHABLE", Unknown, 6;
    /// Our fault; the request id finds it in the log.
    Internal = "INTERNAL", Internal, 70;
    /// Client: Ctrl-C.
    Interrupted = "INTERRUPTED", Cancelled, 130;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Reason {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text).ok_or(())
    }
}

/// One refusal as it crosses the wire: a reason, a sentence, the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What a program acts on.
    pub reason: Reason,
    /// What failed and why, for a person.
    pub message: String,
    /// The next command to type, if there is one.
    pub hint: Option<String>,
    /// PIN tries left, where a token says.
    pub tries_left: Option<u32>,
    /// The id that the daemon's log and audit carry.
    pub request_id: Option<String>,
    /// How long to wait before a retry, where a retry helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with a sentence and nothing else.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            hint: None,
            tries_left: None,
            request_id: None,
            retry_after: None,
        }
    }
    /// With the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// As a gRPC status with `ErrorInfo` details.
    #[must_use]
    pub fn into_status(self) -> Status {
        let mut metadata = std::collections::HashMap::new();
        let pairs = [
            (HINT, self.hint),
            (TRIES_LEFT, self.tries_left.map(|n| n.to_string())),
            (REQUEST_ID, self.request_id),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason.as_str(), DOMAIN, metadata);
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        Status::with_error_details(self.reason.code(), self.message, details)
    }
    /// Reads a status. `None`: it is not one of ours (tonic's own, a proxy's).
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info()?;
        if info.domain != DOMAIN {
            return None;
        }
        Some(Self {
            reason: info.reason.parse().ok()?,
            message: status.message().to_owned(),
            hint: info.metadata.get(HINT).cloned(),
            tries_left: info.metadata.get(TRIES_LEFT).and_then(|n| n.parse().ok()),
            request_id: info.metadata.get(REQUEST_ID).cloned(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        })
    }
}

#[cfg(test)]
mod tests;
