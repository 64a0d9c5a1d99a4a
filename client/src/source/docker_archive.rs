//! What `docker save` writes: a tar file with `manifest.json`, configurations and uncompressed layers. Layers are
//! checked against the configuration's `rootfs.diff_ids`, compressed, and listed in a new manifest.
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use touchmark_tuf::Sha256Digest;

use super::{Content, Place, SourceError};
use crate::image::Image;
use crate::registry::{Descriptor, Manifest};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The cap on `manifest.json` and on a configuration, in bytes.
const JSON_MAX: u64 = 16 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A symbolic link in an archive may point to a link, but not for ever.
const LINKS_MAX: u32 = 8;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

pub(super) fn read(path: &Path, image: &Image) -> Result<Content, SourceError> {
    let archive = Archive::open(path)?;
    let saved: Vec<Saved> = archive.json("manifest.json")?;
    let saved = choose(path, &saved, image)?;
    let config = archive.small(&saved.config)?;
    let diff_ids = serde_json::from_slice::<Config>(&config)
        .map_err(|_| archive.form(format!("has a configuration {} that is none", saved.config)))?
        .rootfs
        .diff_ids;
    if diff_ids.len() != saved.layers.len() {
        return Err(archive.form("lists other layers than its configuration".to_owned()));
    }
    let mut content = Content { manifests: Vec::new(), blobs: Vec::new() };
    let config_part = archive.part(&saved.config)?;
    let config_descriptor = descriptor(Sha256Digest::of(&config), config_part.length, CONFIG);
    content.add_blob(
        &config_descriptor,
        Place::Slice { file: Arc::clone(&archive.file), offset: config_part.offset },
    );
    let mut layers = Vec::with_capacity(diff_ids.len());
    for (name, diff_id) in saved.layers.iter().zip(&diff_ids) {
        let (layer, file) = archive.compress(name, diff_id)?;
        content.add_blob(&layer, Place::Slice { file: Arc::new(file), offset: 0 });
        layers.push(layer);
    }
    let bytes = write_manifest(&config_descriptor, &layers);
    let digest = Sha256Digest::of(&bytes);
    let manifest = Manifest::read(Bytes::from(bytes), digest, MANIFEST).map_err(|why| archive.form(why))?;
    content.manifests.push(manifest);
    Ok(content)
}

/// The only image, else the one that carries the name of what is pushed.
fn choose<'a>(path: &Path, saved: &'a [Saved], image: &Image) -> Result<&'a Saved, SourceError> {
    let is_it = |tag: &String| {
        tag.parse::<Image>().is_ok_and(|tag| tag.gun() == image.gun() && tag.tag() == image.tag())
    };
    match saved {
        [only] => Ok(only),
        several => several.iter().find(|one| one.repo_tags.iter().flatten().any(is_it)).ok_or_else(|| {
            SourceError::Choice {
                path: path.to_owned(),
                wanted: image.to_string(),
                present: several.iter().flat_map(|one| one.repo_tags.iter().flatten().cloned()).collect(),
            }
        }),
    }
}

/// Same configuration and layers, same bytes: pushing twice changes nothing.
fn write_manifest(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let entry = |part: &Descriptor| json!({"mediaType": part.media_type, "size": part.size, "digest": part.digest.to_oci()});
    let layers: Vec<_> = layers.iter().map(entry).collect();
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": entry(config), "layers": layers})
        .to_string()
        .into_bytes()
}

fn descriptor(digest: Sha256Digest, size: u64, media_type: &str) -> Descriptor {
    Descriptor { digest, size, media_type: media_type.to_owned() }
}

/// The archive with a table of its parts.
struct Archive<'a> {
    path: &'a Path,
    file: Arc<File>,
    parts: HashMap<String, Part>,
    links: HashMap<String, String>,
}

#[derive(Clone, Copy)]
struct Part {
    offset: u64,
    length: u64,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path) -> Result<Self, SourceError> {
        let failed = |cause| SourceError::Read { path: path.to_owned(), cause };
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = [0; 2];
        if file.read(&mut magic).map_err(failed)? == magic.len() && magic == GZIP_MAGIC {
            return Err(SourceError::Form {
                path: path.to_owned(),
                why: "is compressed: gunzip it first".to_owned(),
            });
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut parts = HashMap::new();
        let mut links = HashMap::new();
        let mut tar = tar::Archive::new(&file);
        for entry in tar.entries_with_seek().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.path().map_err(failed)?.to_string_lossy().into_owned();
            let target = entry.link_name().map_err(failed)?;
            if let Some(target) = target.and_then(|target| resolve(Path::new(&name), &target)) {
                links.insert(name, target);
            } else {
                parts.insert(name, Part { offset: entry.raw_file_position(), length: entry.size() });
            }
        }
        Ok(Self { path, file: Arc::new(file), parts, links })
    }

    fn part(&self, name: &str) -> Result<Part, SourceError> {
        let mut current = name;
        for _ in 0..LINKS_MAX {
            match (self.parts.get(current), self.links.get(current)) {
                (Some(part), _) => return Ok(*part),
                (None, Some(next)) => current = next,
                (None, None) => break,
            }
        }
        Err(SourceError::Missing { path: self.path.to_owned(), what: name.to_owned() })
    }

    fn reader(&self, part: Part) -> impl Read {
        SliceReader { file: Arc::clone(&self.file), at: part.offset, left: part.length }
    }

    fn small(&self, name: &str) -> Result<Vec<u8>, SourceError> {
        let part = self.part(name)?;
        if part.length > JSON_MAX {
            return Err(self.form(format!("has a {name} of {} bytes", part.length)));
        }
        let mut bytes = Vec::new();
        self.reader(part).read_to_end(&mut bytes).map_err(|cause| self.read_failed(cause))?;
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, SourceError> {
        let bytes = self.small(name)?;
        serde_json::from_slice(&bytes)
            .map_err(|_| self.form(format!("has a {name} that `docker save` does not write")))
    }

    /// Compresses a layer into a file without a name, and checks it against its `diff_id` on the way.
    fn compress(&self, name: &str, diff_id: &str) -> Result<(Descriptor, File), SourceError> {
        let failed = |cause| self.read_failed(cause);
        let mut reader = self.reader(self.part(name)?);
        let mut gzip = GzEncoder::new(
            Hashing { file: tempfile::tempfile().map_err(failed)?, hash: Sha256::new(), size: 0 },
            Compression::default(),
        );
        let mut plain = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = reader.read(&mut buffer).map_err(failed)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            plain.update(bytes);
            gzip.write_all(bytes).map_err(failed)?;
        }
        let written = gzip.finish().map_err(failed)?;
        let got = Sha256Digest::from_bytes(plain.finalize().into()).to_oci();
        if got != diff_id {
            return Err(SourceError::Damaged {
                path: self.path.to_owned(),
                what: format!("{name} ({diff_id})"),
                got,
            });
        }
        let digest = Sha256Digest::from_bytes(written.hash.finalize().into());
        Ok((descriptor(digest, written.size, LAYER), written.file))
    }

    fn form(&self, why: String) -> SourceError {
        SourceError::Form { path: self.path.to_owned(), why }
    }

    fn read_failed(&self, cause: io::Error) -> SourceError {
        SourceError::Read { path: self.path.to_owned(), cause }
    }
}

/// Where a link inside the archive points to, as a name inside the archive.
fn resolve(name: &Path, target: &Path) -> Option<String> {
    let mut parts: Vec<_> = name.parent()?.components().collect();
    for component in target.components() {
        match component {
            std::path::Component::ParentDir => drop(parts.pop()),
            std::path::Component::Normal(_) => parts.push(component),
            _ => {}
        }
    }
    Some(parts.iter().collect::<std::path::PathBuf>().to_string_lossy().into_owned())
}

struct SliceReader {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for SliceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, window, self.at)?;
        let moved = u64::try_from(count).unwrap_or(0);
        self.at = self.at.saturating_add(moved);
        self.left = self.left.saturating_sub(moved);
        Ok(count)
    }
}

struct Hashing {
    file: File,
    hash: Sha256,
    size: u64,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
