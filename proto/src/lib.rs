//! Touchmark's gRPC API, package `touchmark.v1`: generated code, the stable error reasons, and where the
//! socket is. Decides nothing: see `touchmarkd` for the deciding and `touchmark-tuf` for the documents.
#![forbid(unsafe_code)]

pub mod audit;
pub mod convert;
mod line;
pub mod reason;
pub mod socket;
pub mod transcript;

/// Generated from `proto/touchmark/v1/*.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("touchmark.v1");

    /// Encoded `FileDescriptorSet` of the package, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/touchmark.v1.bin"));
}

/// The longest chunk of a document in one message, in bytes.
pub const CHUNK_MAX: usize = 64 * 1024;
/// The most document bytes in one `Sign` request.
pub const SIGN_MAX: usize = 16 * 1024 * 1024;
