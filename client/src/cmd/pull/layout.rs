//! An OCI image layout as the place to pull to (OCI image specification, "image-layout"). Every blob is checked
//! before it gets its name.
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use touchmark_tuf::Sha256Digest;

use crate::error::Error;
use crate::output::Output;
use crate::registry::{Descriptor, Kind, Manifest, Reference, Registry};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// More manifests than any index has, with those of its indexes.
const MANIFESTS: usize = 1024;

/// A layout below a folder; need not exist yet.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Brings a manifest and all that it leads to, then lists it under `name`. An index comes with every platform.
    pub(super) async fn pull(
        &self,
        out: &Output,
        registry: &Registry,
        reference: &Reference,
        name: &str,
    ) -> Result<(), Error> {
        fs::create_dir_all(self.blobs()).map_err(|cause| unwritable(&self.blobs(), &cause))?;
        let top = registry.manifest(reference).await?;
        let mut seen = HashSet::new();
        let mut waiting = vec![top.clone()];
        while let Some(manifest) = waiting.pop() {
            for part in manifest.parts() {
                match manifest.kind() {
                    Kind::Image => self.blob(out, registry, part).await?,
                    Kind::Index if seen.insert(part.digest) => {
                        if seen.len() > MANIFESTS {
                            return Err(Error::usage(format!(
                                "{name} leads to more than {MANIFESTS} manifests"
                            )));
                        }
                        waiting.push(registry.manifest(&Reference::Digest(part.digest)).await?);
                    }
                    Kind::Index => {}
                }
            }
            write_atomically(&self.blob_file(manifest.digest()), manifest.bytes())?;
        }
        self.list(&top, name)
    }

    async fn blob(&self, out: &Output, registry: &Registry, part: &Descriptor) -> Result<(), Error> {
        let path = self.blob_file(&part.digest);
        if fs::metadata(&path).is_ok_and(|found| found.len() == part.size) {
            out.detail(&format!("{}: already there", part.digest.to_oci()));
            return Ok(());
        }
        let temporary = temporary(&path);
        let mut file = File::create(&temporary).map_err(|cause| unwritable(&temporary, &cause))?;
        let short = part.digest.to_string();
        let bar = out.bytes_bar(short.get(..12).unwrap_or_default(), part.size);
        let fetched = registry.blob(part, &mut file, |got| bar.set_position(got)).await;
        bar.finish_and_clear();
        let kept = fetched.map_err(Error::from).and_then(|()| {
            file.sync_all()
                .and_then(|()| fs::rename(&temporary, &path))
                .map_err(|cause| unwritable(&path, &cause))
        });
        if kept.is_err() {
            drop(fs::remove_file(&temporary));
        }
        kept
    }

    /// Adds the manifest to `index.json`, instead of whatever had this name.
    fn list(&self, manifest: &Manifest, name: &str) -> Result<(), Error> {
        let path = self.folder.join("index.json");
        let mut manifests = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes)
                .ok()
                .and_then(|mut index| index.get_mut("manifests").map(Value::take))
                .and_then(|list| serde_json::from_value::<Vec<Value>>(list).ok())
                .ok_or_else(|| Error::usage(format!("{} is no OCI image index", path.display())))?,
            Err(cause) if cause.kind() == ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(Error::usage(format!("cannot read {}: {cause}", path.display()))),
        };
        manifests
            .retain(|entry| entry.get("annotations").and_then(|all| all.get(REF_NAME)) != Some(&json!(name)));
        manifests.push(json!({
            "mediaType": manifest.media_type(),
            "digest": manifest.digest().to_oci(),
            "size": manifest.size(),
            "annotations": { REF_NAME: name },
        }));
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        });
        write_atomically(&self.folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        write_atomically(&path, index.to_string().as_bytes())
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs/sha256")
    }

    fn blob_file(&self, digest: &Sha256Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.part", std::process::id()))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = temporary(path);
    let write = || -> io::Result<()> {
        fs::write(&temporary, bytes)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|cause| {
        drop(fs::remove_file(&temporary));
        unwritable(path, &cause)
    })
}

fn unwritable(path: &Path, cause: &io::Error) -> Error {
    Error::usage(format!("cannot write {}: {cause}", path.display()))
}
