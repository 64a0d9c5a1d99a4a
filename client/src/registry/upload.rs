//! Pushing (OCI distribution-spec, "Pushing blobs", "Pushing manifests"): blobs that the registry lacks, in pieces,
//! then manifests as exact bytes. Same bytes twice is no upload at all.
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use touchmark_tuf::TargetName;
use url::Url;

use super::{Manifest, Registry, RegistryError};
use crate::http::{Answer, Deadline, HttpError, Request};
use crate::source::{Blob, Content, Place};

/// Bytes in one request: large enough for registries that set a least size (5 MiB), small enough to be held.
const PIECE: u64 = 8 << 20;
/// How long one piece may take.
const PIECE_TIME: Duration = Duration::from_secs(300);
/// An answer to an upload says nothing worth reading beyond an error text.
const ANSWER_MAX: u64 = 64 << 10;

impl Registry {
    /// Uploads everything and gives the image `tag`. `progress` hears how many bytes of blobs are done.
    ///
    /// # Errors
    /// No answer, not allowed, a blob that cannot be read, or a registry that does not take it. Blobs that are
    /// there stay there; the tag moves last.
    pub async fn upload(
        &self,
        content: &Content,
        tag: &TargetName,
        progress: impl Fn(u64) + Sync,
    ) -> Result<(), RegistryError> {
        let mut done = 0_u64;
        for blob in &content.blobs {
            self.upload_blob(blob, |sent| progress(done.saturating_add(sent))).await?;
            done = done.saturating_add(blob.descriptor.size);
            progress(done);
        }
        let Some((image, children)) = content.manifests.split_last() else {
            return Ok(());
        };
        for child in children {
            self.put_manifest(child, &child.digest().to_oci()).await?;
        }
        self.put_manifest(image, tag.as_str()).await
    }

    async fn upload_blob(&self, blob: &Blob, progress: impl Fn(u64)) -> Result<(), RegistryError> {
        let digest = blob.descriptor.digest.to_oci();
        let what = format!("{}@{digest}", self.name());
        let head = self.push_request(Method::HEAD, &format!("blobs/{digest}"), PIECE_TIME).await?;
        if self.http.fetch(&head, ANSWER_MAX).await?.status == StatusCode::OK {
            return Ok(());
        }
        let file = open(blob).map_err(|cause| RegistryError::Read { what: what.clone(), cause })?;
        let start = self.push_request(Method::POST, "blobs/uploads/", PIECE_TIME).await?;
        let mut answer = self.expect(&start, StatusCode::ACCEPTED, &what).await?;
        let mut at = next_place(&start.url, &answer.headers)?;
        let mut sent = 0;
        while sent < blob.descriptor.size {
            let length = PIECE.min(blob.descriptor.size - sent);
            let piece = read(&file, sent, length)
                .await
                .map_err(|cause| RegistryError::Read { what: what.clone(), cause })?;
            let mut patch = self.at(Method::PATCH, at.clone(), PIECE_TIME);
            set(&mut patch.headers, CONTENT_TYPE, "application/octet-stream");
            set(&mut patch.headers, CONTENT_RANGE, &format!("{sent}-{}", sent + length - 1));
            patch.body = piece;
            answer = self.expect(&patch, StatusCode::ACCEPTED, &what).await?;
            at = next_place(&patch.url, &answer.headers)?;
            sent += length;
            progress(sent);
        }
        at.query_pairs_mut().append_pair("digest", &digest);
        let finish = self.at(Method::PUT, at, PIECE_TIME);
        self.expect(&finish, StatusCode::CREATED, &what).await?;
        Ok(())
    }

    async fn put_manifest(&self, manifest: &Manifest, name: &str) -> Result<(), RegistryError> {
        let mut put = self.push_request(Method::PUT, &format!("manifests/{name}"), PIECE_TIME).await?;
        set(&mut put.headers, CONTENT_TYPE, manifest.media_type());
        put.body = manifest.bytes().clone();
        self.expect(&put, StatusCode::CREATED, &format!("{}:{name}", self.name())).await?;
        Ok(())
    }

    async fn push_request(
        &self,
        method: Method,
        path: &str,
        time: Duration,
    ) -> Result<Request, RegistryError> {
        let scheme = self.scheme(Deadline::after(time)).await?;
        let request = self.request(scheme, path, Deadline::after(time))?;
        Ok(Request { method, scope: self.push_scope(), ..request })
    }

    fn at(&self, method: Method, url: Url, time: Duration) -> Request {
        let request = Request::get(url, self.host.clone(), self.push_scope(), Deadline::after(time));
        Request { method, ..request }
    }

    fn push_scope(&self) -> String {
        format!("repository:{}:pull,push", self.repository)
    }

    async fn expect(
        &self,
        request: &Request,
        wanted: StatusCode,
        what: &str,
    ) -> Result<Answer, RegistryError> {
        let answer = self.http.fetch(request, ANSWER_MAX).await?;
        if answer.status == wanted {
            return Ok(answer);
        }
        match answer.status.as_u16() {
            401 | 403 => Err(RegistryError::Forbidden {
                image: what.to_owned(),
                account: self.host.clone(),
                status: answer.status,
            }),
            _ => Err(RegistryError::NotTaken {
                host: self.host.clone(),
                image: what.to_owned(),
                status: answer.status,
                why: String::from_utf8_lossy(&answer.body).trim().chars().take(500).collect(),
            }),
        }
    }
}

/// Where the upload goes on. Another server is refused: it would be shown this one's credentials.
fn next_place(from: &Url, headers: &HeaderMap) -> Result<Url, HttpError> {
    let wrong = |why| HttpError::Redirect { host: crate::http::authority(from), why };
    let written = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let next = written
        .and_then(|text| from.join(text).ok())
        .ok_or_else(|| wrong("does not say where an upload goes on"))?;
    let same = next.scheme() == from.scheme()
        && next.host_str() == from.host_str()
        && next.port_or_known_default() == from.port_or_known_default();
    if same { Ok(next) } else { Err(wrong("sends uploads to another server")) }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Digits, dashes and media types that were parsed: always a header value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The file that holds a blob, and where in it the blob begins.
struct Opened {
    file: Arc<File>,
    offset: u64,
}

fn open(blob: &Blob) -> std::io::Result<Opened> {
    match &blob.place {
        Place::Path(path) => Ok(Opened { file: Arc::new(File::open(path)?), offset: 0 }),
        Place::Slice { file, offset } => Ok(Opened { file: Arc::clone(file), offset: *offset }),
    }
}

async fn read(from: &Opened, sent: u64, length: u64) -> std::io::Result<Bytes> {
    let (file, start) = (Arc::clone(&from.file), from.offset.saturating_add(sent));
    let length = usize::try_from(length).map_err(std::io::Error::other)?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, start).map(|()| Bytes::from(piece))
    });
    reading.await.map_err(std::io::Error::other)?
}
