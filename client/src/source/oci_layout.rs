//! An OCI image layout (image-spec, `image-layout.md`): a folder of blobs and an `index.json`.
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use touchmark_tuf::Sha256Digest;

use super::{Content, Place, SourceError};
use crate::registry::{Descriptor, Kind, Manifest};

/// The cap that registries put on manifests, in bytes.
const MANIFEST_MAX: u64 = 4 << 20;
/// An index of indexes is allowed; more is a mistake or an attack.
const DEPTH_MAX: u32 = 4;
const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

pub(super) fn read(dir: &Path, reference: Option<&str>) -> Result<Content, SourceError> {
    let index_file = dir.join("index.json");
    let form = |why: &str| SourceError::Form { path: index_file.clone(), why: why.to_owned() };
    let index: Index =
        serde_json::from_slice(&read_capped(&index_file)?).map_err(|_| form("is no OCI index"))?;
    let entry = choose(dir, &index, reference)?;
    let digest =
        Sha256Digest::from_oci(&entry.digest).map_err(|_| form("names a digest that is not sha256"))?;
    let mut content = Content { manifests: Vec::new(), blobs: Vec::new() };
    collect(dir, digest, &entry.media_type, 0, &mut content)?;
    Ok(content)
}

fn choose<'a>(dir: &Path, index: &'a Index, reference: Option<&str>) -> Result<&'a Entry, SourceError> {
    let name = |entry: &Entry| entry.annotations.get(REF_NAME).cloned();
    let found = match (reference, index.manifests.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(wanted), entries) => entries.iter().find(|entry| name(entry).as_deref() == Some(wanted)),
    };
    found.ok_or_else(|| SourceError::Choice {
        path: dir.to_owned(),
        wanted: reference.unwrap_or_default().to_owned(),
        present: index.manifests.iter().filter_map(name).collect(),
    })
}

/// Adds what `digest` names and all below it, children first.
fn collect(
    dir: &Path,
    digest: Sha256Digest,
    media_type: &str,
    depth: u32,
    content: &mut Content,
) -> Result<(), SourceError> {
    if content.manifests.iter().any(|known| *known.digest() == digest) {
        return Ok(());
    }
    let path = blob_path(dir, &digest);
    if depth > DEPTH_MAX {
        return Err(SourceError::Form { path, why: "is an index too deep inside indexes".to_owned() });
    }
    let bytes = read_part(dir, &path, &digest)?;
    let got = Sha256Digest::of(&bytes);
    if got != digest {
        return Err(SourceError::Damaged { path: dir.to_owned(), what: digest.to_oci(), got: got.to_oci() });
    }
    let manifest = Manifest::read(Bytes::from(bytes), digest, media_type)
        .map_err(|why| SourceError::Form { path, why })?;
    for part in manifest.parts() {
        match manifest.kind() {
            Kind::Index => collect(dir, part.digest, &part.media_type, depth + 1, content)?,
            Kind::Image => add_file(dir, part, content)?,
        }
    }
    content.manifests.push(manifest);
    Ok(())
}

fn add_file(dir: &Path, part: &Descriptor, content: &mut Content) -> Result<(), SourceError> {
    let path = blob_path(dir, &part.digest);
    let missing = |_| SourceError::Missing { path: dir.to_owned(), what: part.digest.to_oci() };
    let size = fs::metadata(&path).map_err(missing)?.len();
    if size != part.size {
        let got = format!("{size} bytes long, not {}", part.size);
        return Err(SourceError::Damaged { path: dir.to_owned(), what: part.digest.to_oci(), got });
    }
    content.add_blob(part, Place::Path(path));
    Ok(())
}

fn read_part(dir: &Path, path: &Path, digest: &Sha256Digest) -> Result<Vec<u8>, SourceError> {
    if path.exists() {
        return read_capped(path);
    }
    Err(SourceError::Missing { path: dir.to_owned(), what: digest.to_oci() })
}

fn read_capped(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |cause| SourceError::Read { path: path.to_owned(), cause };
    if fs::metadata(path).map_err(failed)?.len() > MANIFEST_MAX {
        return Err(SourceError::Form {
            path: path.to_owned(),
            why: "is too large for a manifest".to_owned(),
        });
    }
    fs::read(path).map_err(failed)
}

fn blob_path(dir: &Path, digest: &Sha256Digest) -> PathBuf {
    dir.join("blobs/sha256").join(digest.to_string())
}
