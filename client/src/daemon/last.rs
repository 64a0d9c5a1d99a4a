//! `Signer.Last`: the documents that the daemon signed or accepted last, put together from their chunks.
use futures_util::{Stream, StreamExt as _};
use tonic::Status;
use touchmark_proto::{SIGN_MAX, v1};
use touchmark_tuf::{Gun, RoleName};

use super::{Daemon, failure};
use crate::error::Error;

/// One document of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastDocument {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: u64,
    /// The file as it is published: envelope, canonical form, signatures; the canonical form alone where a crash took
    /// the signatures.
    pub file: Vec<u8>,
    /// Whether a crash took its signatures: it has to be signed again, as it is.
    pub unsigned: bool,
    /// Signed by the daemon, and not seen published by anybody yet.
    pub unpublished: bool,
    /// A root that lacks signatures of keys that this daemon does not have.
    pub incomplete: bool,
}

impl Daemon {
    /// Every document of a repository that the daemon knows, those too whose signatures a crash took; none for a
    /// repository that it has not seen.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn last(&self, gun: &Gun) -> Result<Vec<LastDocument>, Error> {
        let request = v1::LastRequest { gun: gun.to_string(), unsigned: true, ..Default::default() };
        self.documents(request).await
    }

    /// The root that the daemon trusts for a repository, and after it the one that it signed and that still lacks
    /// signatures of others: with what was signed here, or without any where a crash took that.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn roots(&self, gun: &Gun) -> Result<Vec<LastDocument>, Error> {
        let (gun, role) = (gun.to_string(), RoleName::Root.to_string());
        self.documents(v1::LastRequest { gun, role, incomplete: true, ..Default::default() }).await
    }

    async fn documents(&self, request: v1::LastRequest) -> Result<Vec<LastDocument>, Error> {
        match self.signer().last(request).await {
            Ok(chunks) => collect(chunks.into_inner()).await,
            Err(status) => Err(failure(status)),
        }
    }
}

/// Puts the chunks together and holds each document to its announced length.
pub(crate) async fn collect(
    chunks: impl Stream<Item = Result<v1::LastChunk, Status>>,
) -> Result<Vec<LastDocument>, Error> {
    let mut chunks = std::pin::pin!(chunks);
    let mut whole = Vec::new();
    let mut open: Option<(LastDocument, usize)> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(failure)?;
        let (document, length) = match open.take() {
            None => start(&chunk)?,
            Some(open) => open,
        };
        let mut document = document;
        document.file.extend_from_slice(&chunk.data);
        match document.file.len().cmp(&length) {
            std::cmp::Ordering::Less => open = Some((document, length)),
            std::cmp::Ordering::Equal => whole.push(document),
            std::cmp::Ordering::Greater => return Err(broken("is longer than announced")),
        }
    }
    match open {
        None => Ok(whole),
        Some(_) => Err(broken("ends too early")),
    }
}

fn start(chunk: &v1::LastChunk) -> Result<(LastDocument, usize), Error> {
    let length = usize::try_from(chunk.length).ok().filter(|length| (1..=SIGN_MAX).contains(length));
    let length = length.ok_or_else(|| broken("has an impossible length"))?;
    let role = chunk.role.parse().map_err(|_| broken("has an impossible role"))?;
    let file = Vec::with_capacity(length);
    Ok((
        LastDocument {
            role,
            version: chunk.version,
            file,
            unsigned: chunk.unsigned,
            unpublished: chunk.unpublished,
            incomplete: chunk.incomplete,
        },
        length,
    ))
}

fn broken(how: &str) -> Error {
    Error::internal(format!("a document that touchmarkd sent {how}"))
}
