//! Why the vault refused, with what helps.
use touchmark_tuf::KeyId;

use super::codec::FormatError;
use super::key_file::KeyFileError;
use super::locked::{MemoryError, Public};

/// What went wrong in the vault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Keys are not in memory. A retry helps after an unlock.
    #[error("the vault is locked; open it with `touchmark unlock`")]
    Locked,
    /// A vault key is in memory already.
    #[error("the vault is open already")]
    AlreadyOpen,
    /// The passphrase, or the token's answer, does not open the vault. Another answer may.
    #[error("the vault does not open with that")]
    Wrong,
    /// An empty passphrase.
    #[error("a passphrase is needed, and it was empty")]
    NoPassphrase,
    /// The vault cannot be wrapped to this key. Another token or a passphrase can open it.
    #[error("the vault cannot be wrapped to this token key: {0}")]
    TokenKey(&'static str),
    /// The key is not loaded.
    #[error("no key {0} in the vault")]
    KeyUnknown(KeyId),
    /// A sealed key that this vault key does not open for this role, these repositories and this public key.
    #[error("sealed key {0} was made by another vault, for another binding, or was changed")]
    Broken(KeyId),
    /// A private key that does not belong to the public key it stands under. The key must be imported again.
    #[error("private key {0} does not belong to its public key")]
    Mismatch(KeyId),
    /// Root keys live on tokens.
    #[error(
        "a root key does not go into the vault; put it on a token with `touchmark key import FILE --token NAME`"
    )]
    RootKey,
    /// The key file does not say its role and the caller did not either.
    #[error("the key file names no role; say which with --role")]
    NoRole,
    /// The key file does not say its repository and the caller did not either.
    #[error("the key file names no repository; say which ones the key may sign for")]
    NoRepository,
    /// A role or repository in a key file's header has a form that no trust document can have.
    #[error("the key file's {header} header is not usable: {why}")]
    Header {
        /// `role` or `gun`.
        header: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The public key is none that the vault makes or keeps.
    #[error("the vault keeps P-256 keys only")]
    NotP256,
    /// Stored bytes in another form.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// Locked memory ran out, or a step in it failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The kernel gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// A slot was not where it was put: our fault.
    #[error("a key's slot is gone")]
    LostSlot,
    /// A primitive refused lengths that are fixed in our code: our fault.
    #[error("a cryptographic primitive refused: {0}")]
    Primitive(&'static str),
}

impl Public for VaultError {}
