//! Manifests and indexes as registries serve them: raw bytes and the few fields that a puller follows.
use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::shown;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The kinds that a registry is asked for, as a value of `Accept`.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The fields of which a puller thinks something.
const FIELDS: [&str; 4] = ["mediaType", "manifests", "config", "layers"];

/// What a manifest leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One image: a configuration and layers.
    Image,
    /// One image for each of several platforms.
    Index,
}

/// A manifest or index with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    digest: Sha256Digest,
    bytes: Bytes,
    media_type: String,
    kind: Kind,
    parts: Vec<Descriptor>,
}

/// A pointer to a blob or a further manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Digest of its bytes.
    pub digest: Sha256Digest,
    /// Length in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    media_type: Option<String>,
    manifests: Option<Vec<WrittenDescriptor>>,
    config: Option<WrittenDescriptor>,
    layers: Option<Vec<WrittenDescriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDescriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Manifest {
    /// Reads what came with the `Content-Type` `served`.
    pub(crate) fn read(bytes: Bytes, digest: Sha256Digest, served: &str) -> Result<Self, String> {
        // The values of fields that are not read here are no reason to let through what others refuse.
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let none = |_| "it is no image manifest".to_owned();
        let written: Written = serde_json::from_str(text).map_err(none)?;
        let names: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(text).map_err(none)?;
        if let Some(name) = names.keys().find(|name| is_variant(name)) {
            return Err(format!("it has a field in another case: '{}'", shown(name)));
        }
        let served = served.split(';').next().unwrap_or_default().trim();
        let media_type = written.media_type.unwrap_or_else(|| served.to_owned());
        // The bytes must not read as an index to one program and as an image to another (CVE-2021-41190).
        let (kind, parts) = match (media_type.as_str(), written.manifests, written.config, written.layers) {
            (OCI_INDEX | DOCKER_LIST, Some(manifests), None, None) => (Kind::Index, manifests),
            (OCI_MANIFEST | DOCKER_MANIFEST, None, Some(config), Some(mut layers)) => {
                layers.insert(0, config);
                (Kind::Image, layers)
            }
            (OCI_INDEX | DOCKER_LIST | OCI_MANIFEST | DOCKER_MANIFEST, ..) => {
                return Err(format!("it is no proper {media_type}"));
            }
            (other, ..) => return Err(format!("manifests of type '{}' are not supported", shown(other))),
        };
        let parts = parts.into_iter().map(WrittenDescriptor::read).collect::<Result<_, _>>()?;
        Ok(Self { digest, bytes, media_type, kind, parts })
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Sha256Digest {
        &self.digest
    }

    /// The bytes as they were served.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes: what a signature states beside the digest.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// The media type: its own word, else the registry's.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Image or index.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Of an image: configuration and layers. Of an index: manifests.
    #[must_use]
    pub fn parts(&self) -> &[Descriptor] {
        &self.parts
    }
}

/// Whether a program that reads names without regard to case, as Go does, takes this for a field that it is not here.
fn is_variant(name: &str) -> bool {
    let folded: String =
        name.chars().map(|c| if c == '\u{17f}' { 's' } else { c.to_ascii_lowercase() }).collect();
    FIELDS.iter().any(|field| *field != name && field.eq_ignore_ascii_case(&folded))
}

impl WrittenDescriptor {
    fn read(self) -> Result<Descriptor, String> {
        let digest = Sha256Digest::from_oci(&self.digest)
            .map_err(|_| format!("'{}' is no sha256 digest", shown(&self.digest)))?;
        Ok(Descriptor { digest, size: self.size, media_type: self.media_type })
    }
}
