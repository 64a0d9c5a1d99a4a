#![forbid(unsafe_code)]
//! Trust documents in Notary's dialect of TUF: model, canonical JSON, verification, next version.
//!
//! Pure: no input or output, no clock, no randomness. Time and bytes come in, decisions and bytes go out.
//!
//! - `ids`, `digest`, `instant`, `key`, `signature`: the words. Each is checked once, where it comes in.
//! - `root`, `targets`, `snapshot`, `timestamp`: the four kinds of document; `canonical` is the form that is signed,
//!   `envelope` the file with its signatures, and the only way from `Unverified` to `Verified`.
//! - `trusted`: what a reader believes, step by step. `edit`: the next version of a document. `diff`: what changed.
//! - `certificate`: the X.509 certificate that stands for a root key.
//!
//! One tag more, as the bytes to sign and the words for what they change:
//!
//! ```
//! use touchmark_tuf::{Difference, Document, Expires, Instant, Sha256Digest, Target, TargetChange, Targets};
//! use touchmark_tuf::{diff, exact, first_targets, next_targets};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let expires = Expires::at(Instant::from_unix(1_900_000_000));
//! let base = first_targets(expires.clone());
//! let target = Target::new(Sha256Digest::of(b"the manifest"), 12);
//! let new = next_targets(&base, &[TargetChange::Set { name: "v1".parse()?, target }], expires)?;
//!
//! // The signer reads exactly these bytes, and nothing that is written in another way.
//! let signed = new.write();
//! let read: Targets = exact(&signed)?;
//! assert_eq!(read, new);
//! assert!(exact::<Targets>(&[&signed[..], b"\n"].concat()).is_err());
//!
//! let changes = diff::targets(Some(&base), &read);
//! assert!(matches!(changes[..], [Difference::TagAdded { .. }]));
//! assert!(changes[0].to_string().starts_with("tag v1 added: sha256:"));
//! # Ok(())
//! # }
//! ```
pub mod canonical;
pub mod certificate;
mod der_form;
pub mod diff;
pub mod digest;
pub mod document;
pub mod edit;
pub mod envelope;
pub mod error;
mod hex;
pub mod ids;
pub mod instant;
pub mod key;
pub mod limits;
pub mod root;
pub mod signature;
pub mod snapshot;
pub mod targets;
#[cfg(test)]
mod testing;
pub mod timestamp;
pub mod trusted;
pub mod verify;

#[cfg(test)]
extern crate self as touchmark_tuf;

pub use canonical::{Reader, Writer, exact};
pub use certificate::{RootCertificate, ToBeSigned, to_be_signed};
pub use diff::Difference;
pub use digest::{Sha256Digest, Sha512Digest};
pub use document::{Document, FileMeta, Hashes, RoleKeys};
pub use edit::{RootChange, TargetChange, first_root, first_targets, next_root, next_snapshot, next_targets};
pub use envelope::{Unverified, Verified, assemble};
pub use error::{
    AssembleError, CertificateError, DocumentError, EditError, ExactError, IdError, KeyError, SignatureError,
    TimeError, TrustError, ValueError, VerifyError,
};
pub use ids::{DelegationName, Gun, KeyId, RoleName, TargetName, Version, shown};
pub use instant::{Expires, Instant};
pub use key::{KeyType, PublicKey};
pub use root::{Root, RootRoles};
pub use signature::{EcdsaSignature, Method, Signature};
pub use snapshot::Snapshot;
pub use targets::{DelegatedRole, Delegations, Target, Targets};
pub use timestamp::Timestamp;
pub use trusted::{Found, Pin, RootSource, Signed, Trusted, Wanted};
pub use verify::{CheckSignature, Ring, threshold, verify_p256};
