//! How much a reader takes. Everything is far above what real repositories have, and far below what hurts.
use crate::ids::RoleName;

/// Bytes of a root file. A root carries every certificate that it ever had, about 1.5 KiB each.
pub const ROOT_BYTES: usize = 512 * 1024;
/// Bytes of a targets or delegation file: what one signing request may carry. 50,000 tags take 4.5 MB.
pub const TARGETS_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a snapshot file: about 250 for each delegation.
pub const SNAPSHOT_BYTES: usize = 1024 * 1024;
/// Bytes of a timestamp file: it lists one file.
pub const TIMESTAMP_BYTES: usize = 16 * 1024;

/// Levels of objects and arrays inside one another.
pub const DEPTH: usize = 32;
/// Tags in one document.
pub const TAGS: usize = 150_000;
/// Keys that one document describes.
pub const KEYS: usize = 1024;
/// Keys of one role.
pub const ROLE_KEYS: usize = 256;
/// Delegations that one role lists, and files that a snapshot lists.
pub const DELEGATIONS: usize = 2048;
/// Path prefixes of one delegation.
pub const PATHS: usize = 1024;
/// Signatures on one document; each may cost one verification.
pub const SIGNATURES: usize = 256;
/// Digest algorithms in one entry.
pub const HASHES: usize = 16;
/// Bytes of a tag's `custom` value.
pub const CUSTOM_BYTES: usize = 4096;
/// Bytes of a public key, or of a PEM bundle of certificates.
pub const KEY_BYTES: usize = 64 * 1024;
/// Bytes of one signature: RSA with 8192 bits.
pub const SIGNATURE_BYTES: usize = 1024;

/// The most bytes that a file of this role may have. Stop downloading there.
#[must_use]
pub const fn file_bytes(role: &RoleName) -> usize {
    match role {
        RoleName::Root => ROOT_BYTES,
        RoleName::Targets | RoleName::Delegation(_) => TARGETS_BYTES,
        RoleName::Snapshot => SNAPSHOT_BYTES,
        RoleName::Timestamp => TIMESTAMP_BYTES,
    }
}
