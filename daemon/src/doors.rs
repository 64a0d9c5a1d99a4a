//! Parsers that are private, opened to the fuzz targets. Not in a release: see the feature `doors`.
use rusqlite::Connection;
use tonic::Streaming;
use touchmark_proto::reason::Refusal;
use touchmark_proto::v1;

use crate::audit::RequestId;
use crate::policy::Caller;
use crate::rpc::budget::Budget;
use crate::rpc::call::Call;
use crate::rpc::signer::receive;
use crate::sign::SignRequest;
use crate::store::View;
use crate::unlock::backup::Backup;

pub use crate::token::doors as token;

/// Takes a `Sign` request's bytes in, as from a caller.
///
/// # Errors
/// With what is wrong with them.
pub async fn upload(upload: Streaming<v1::SignRequest>) -> Result<SignRequest, Refusal> {
    let caller = Caller { uid: 1, gid: 1, groups: Vec::new(), name: None };
    let call = Call { caller, id: RequestId::from_bytes([0; 8]) };
    receive(&Budget::default(), &call, upload).await.map(|(request, _)| request)
}

/// Reads a vault backup and writes it again.
///
/// # Errors
/// In words.
pub fn backup(bytes: &[u8]) -> Result<Vec<u8>, String> {
    Backup::read(bytes).and_then(|backup| backup.write()).map_err(|error| error.to_string())
}

/// The connection behind a job, to write into it what this program would not.
#[must_use]
pub fn sql<'v>(view: &'v View<'_>) -> &'v Connection {
    view.sql()
}
