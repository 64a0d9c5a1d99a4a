//! Parsers that are private, opened to the fuzz targets. Not in a release: see the feature `doors`.
use std::ops::Range;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use touchmark_proto::v1;
use touchmark_tuf::Sha256Digest;

use crate::cmd::verify::file;
use crate::daemon::LastDocument;
use crate::daemon::last::collect;
use crate::http::auth::{Challenge, choose};
use crate::prompt::line::Line;
use crate::prompt::{PromptError, Secret};
use crate::registry::Manifest;

/// Reads a manifest that came with the `Content-Type` `served`.
///
/// # Errors
/// In words.
pub fn manifest(bytes: &[u8], served: &str) -> Result<Manifest, String> {
    Manifest::read(Bytes::copy_from_slice(bytes), Sha256Digest::of(bytes), served)
}

/// The challenge among values of `WWW-Authenticate`: realm, service and scope; no realm stands for `Basic`.
#[must_use]
pub fn challenge(values: &[&[u8]]) -> Option<[Option<String>; 3]> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value).ok()?);
    }
    Some(match choose(&headers)? {
        Challenge::Basic => [const { None }; 3],
        Challenge::Bearer { realm, service, scope } => [Some(realm), service, scope],
    })
}

/// Code and words of a Notary server's error.
#[must_use]
pub fn notary_error(body: &[u8]) -> Option<(String, String)> {
    crate::notary::problem(body)
}

/// A typed line of at most `max` bytes: the bytes that were read of `typed`, and what it came to.
pub fn line(typed: &[u8], max: usize) -> (usize, Result<Secret, PromptError>) {
    let mut line = Line::new(max);
    let read = typed.iter().position(|byte| line.push(*byte)).map_or(typed.len(), |at| at + 1);
    (read, line.finish())
}

/// What `Signer.Last` sent, put together.
///
/// # Errors
/// In words.
pub async fn last(chunks: Vec<v1::LastChunk>) -> Result<Vec<LastDocument>, String> {
    let chunks = futures_util::stream::iter(chunks.into_iter().map(Ok));
    collect(chunks).await.map_err(|error| error.message)
}

/// Where images stand in a Dockerfile.
#[must_use]
pub fn dockerfile(text: &str) -> Vec<Range<usize>> {
    file::dockerfile(text)
}

/// Where images stand in a compose file.
#[must_use]
pub fn compose(text: &str) -> Vec<Range<usize>> {
    file::compose(text)
}
