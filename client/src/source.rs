//! Where an image to be pushed comes from, and the image itself as a registry takes it: manifests as exact bytes,
//! blobs as files. Talks to nobody; the Docker Engine, which pushes by itself, is in `engine`.
mod docker_archive;
mod oci_layout;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::Sha256Digest;
use touchmark_tuf::shown;

use crate::error::Error;
use crate::image::Image;
use crate::registry::{Descriptor, Manifest};

/// `--from`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Docker Engine.
    Engine,
    /// An OCI image layout, perhaps with the reference of one of its images.
    OciLayout {
        /// The folder with `oci-layout` and `index.json`.
        dir: PathBuf,
        /// `org.opencontainers.image.ref.name` of the image wanted.
        reference: Option<String>,
    },
    /// What `docker save` writes.
    DockerArchive {
        /// The tar file, not compressed.
        file: PathBuf,
    },
}

/// An image, or an index of images, whole.
#[derive(Debug)]
pub struct Content {
    /// In the order in which a registry takes them: what an index points to before the index. The last one is
    /// the image.
    pub manifests: Vec<Manifest>,
    /// Configurations and layers, each once.
    pub blobs: Vec<Blob>,
}

/// One configuration or layer.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Digest and length.
    pub descriptor: Descriptor,
    /// Where its bytes are.
    pub place: Place,
}

/// Where a blob's bytes are.
#[derive(Debug, Clone)]
pub enum Place {
    /// A whole file.
    Path(PathBuf),
    /// A part of an open file, from `offset`, as long as the descriptor says.
    Slice {
        /// The file.
        file: Arc<File>,
        /// Where the blob begins, in bytes.
        offset: u64,
    },
}

/// Why a source gives no image. A retry does not help.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not of the kind that was promised.
    #[error("{} {why}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it: the rest of the sentence.
        why: String,
    },
    /// The image points to something that is not there.
    #[error("{} lacks {what}", path.display())]
    Missing {
        /// The folder or archive.
        path: PathBuf,
        /// Digest or name of what is not there.
        what: String,
    },
    /// Something has another digest or length than its name says.
    #[error("{}: {what} is damaged: it is {got}", path.display())]
    Damaged {
        /// The folder or archive.
        path: PathBuf,
        /// Digest or name of the part.
        what: String,
        /// Its real digest or length.
        got: String,
    },
    /// There are several images, or none, and the name chooses none of them.
    #[error("{} has {} images and none is called '{wanted}'", path.display(), present.len())]
    Choice {
        /// The folder or archive.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What could be chosen.
        present: Vec<String>,
    },
}

impl FromStr for Source {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "engine" {
            return Ok(Self::Engine);
        }
        if let Some(file) = text.strip_prefix("docker-archive:").filter(|file| !file.is_empty()) {
            return Ok(Self::DockerArchive { file: PathBuf::from(file) });
        }
        if let Some(rest) = text.strip_prefix("oci:").filter(|rest| !rest.is_empty()) {
            return Ok(oci_source(rest));
        }
        Err(Error::usage(format!("'{}' is no source of an image", shown(text)))
            .hint("write --from engine, --from oci:DIR[:REF] or --from docker-archive:FILE"))
    }
}

/// A colon may belong to the folder's name: the folder that exists wins.
fn oci_source(rest: &str) -> Source {
    match rest.rsplit_once(':') {
        Some((dir, reference)) if !Path::new(rest).is_dir() && !dir.is_empty() => {
            Source::OciLayout { dir: PathBuf::from(dir), reference: Some(reference.to_owned()) }
        }
        _ => Source::OciLayout { dir: PathBuf::from(rest), reference: None },
    }
}

impl Content {
    /// Reads an OCI image layout.
    ///
    /// # Errors
    /// Not a layout, no such image in it, a part missing or damaged.
    pub fn from_oci_layout(dir: &Path, reference: Option<&str>) -> Result<Self, SourceError> {
        oci_layout::read(dir, reference)
    }

    /// Reads what `docker save` wrote; layers are compressed on the way (into files without a name).
    ///
    /// # Errors
    /// Not such an archive, `image` is not in it, a part missing or damaged.
    pub fn from_docker_archive(file: &Path, image: &Image) -> Result<Self, SourceError> {
        docker_archive::read(file, image)
    }

    /// The bytes of all blobs together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.descriptor.size))
    }

    fn add_blob(&mut self, descriptor: &Descriptor, place: Place) {
        if !self.has_blob(&descriptor.digest) {
            self.blobs.push(Blob { descriptor: descriptor.clone(), place });
        }
    }

    fn has_blob(&self, digest: &Sha256Digest) -> bool {
        self.blobs.iter().any(|blob| blob.descriptor.digest == *digest)
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        let message = shown(&error.to_string()).to_string();
        let hint = match &error {
            SourceError::Choice { present, .. } if present.is_empty() => None,
            SourceError::Choice { present, .. } => {
                Some(format!("choose one of: {}", shown(&present.join(", "))))
            }
            SourceError::Missing { .. } | SourceError::Damaged { .. } => Some("write it anew".to_owned()),
            SourceError::Read { .. } | SourceError::Form { .. } => None,
        };
        let mut error = Self::new(Reason::Usage, message);
        error.hint = hint;
        error
    }
}

#[cfg(test)]
mod tests;
