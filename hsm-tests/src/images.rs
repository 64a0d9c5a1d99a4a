//! Tiny images made here, byte by byte: no download, known digests.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Answer, Request};
use crate::registry::Registry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image of one layer with one file.
#[derive(Clone, Debug)]
pub struct Image {
    tar: Vec<u8>,
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
    architecture: String,
}

/// What a tag in a registry points to: the bytes that signatures are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// `sha256:` and 64 hex digits, of the manifest or index.
    pub digest: String,
    /// Its length in bytes.
    pub size: usize,
}

/// `sha256:` and 64 hex digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

impl Image {
    /// An amd64 image whose file `/hello` has this text; another text makes another digest.
    #[must_use]
    pub fn saying(text: &str) -> Self {
        Self::saying_on(text, "amd64")
    }

    /// The same for another architecture.
    #[must_use]
    pub fn saying_on(text: &str, architecture: &str) -> Self {
        let tar = tar_of(&[("hello", text.as_bytes())]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&tar).expect("a compressed layer");
        let layer = gzip.finish().expect("a compressed layer");
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "touchmark tests"}],
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)],
        })
        .to_string()
        .into_bytes();
        Self { tar, layer, config, manifest, architecture: architecture.to_owned() }
    }

    /// What a registry has after [`Image::push`].
    #[must_use]
    pub fn pushed(&self) -> Pushed {
        Pushed { digest: digest(&self.manifest), size: self.manifest.len() }
    }

    /// The manifest's exact bytes.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// Puts it into an open registry over plain HTTP, as `repository:tag` (no host in `repository`).
    pub fn push(&self, registry: &Registry, repository: &str, tag: &str) -> Pushed {
        self.push_content(registry, repository);
        put_manifest(registry, repository, tag, MANIFEST, &self.manifest)
    }

    /// Writes a docker-archive, as `docker save` does, with this name (`repository:tag`).
    pub fn save(&self, file: &Path, name: &str) {
        let (config, layer) =
            (format!("{}.json", hex(&self.config)), format!("{}/layer.tar", hex(&self.tar)));
        let manifest = json!([{"Config": config, "RepoTags": [name], "Layers": [layer]}]).to_string();
        let files = [
            (config.as_str(), self.config.as_slice()),
            (layer.as_str(), self.tar.as_slice()),
            ("manifest.json", manifest.as_bytes()),
        ];
        std::fs::write(file, tar_of(&files)).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }

    /// Writes an OCI image layout with this image under a reference name.
    pub fn lay_out(&self, folder: &Path, reference: &str) {
        self.write_blobs(folder);
        write_layout(folder, MANIFEST, &self.manifest, reference);
    }

    fn push_content(&self, registry: &Registry, repository: &str) {
        put_blob(registry, repository, &self.layer);
        put_blob(registry, repository, &self.config);
    }

    fn write_blobs(&self, folder: &Path) {
        for blob in [&self.layer, &self.config, &self.manifest] {
            write_blob(folder, blob);
        }
    }
}

/// Puts a multi-arch index and its images into an open registry; what the tag points to is the index.
pub fn push_index(registry: &Registry, repository: &str, tag: &str, images: &[Image]) -> Pushed {
    for image in images {
        image.push_content(registry, repository);
        let by_digest = digest(&image.manifest);
        put_manifest(registry, repository, &by_digest, MANIFEST, &image.manifest);
    }
    put_manifest(registry, repository, tag, INDEX, &index_of(images))
}

/// Writes an OCI image layout with a multi-arch index under a reference name; the index's digest and length.
pub fn lay_out_index(folder: &Path, reference: &str, images: &[Image]) -> Pushed {
    let index = index_of(images);
    for image in images {
        image.write_blobs(folder);
    }
    write_blob(folder, &index);
    write_layout(folder, INDEX, &index, reference);
    Pushed { digest: digest(&index), size: index.len() }
}

fn index_of(images: &[Image]) -> Vec<u8> {
    let manifests = images.iter().map(|image| {
        let mut entry = descriptor(MANIFEST, &image.manifest);
        entry["platform"] = json!({"os": "linux", "architecture": image.architecture});
        entry
    });
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests.collect::<Vec<_>>()})
        .to_string()
        .into_bytes()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        archive.append_data(&mut header, name, *bytes).expect("a file in a tar archive");
    }
    archive.into_inner().expect("a tar archive")
}

fn write_blob(folder: &Path, bytes: &[u8]) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("the layout's folder for blobs");
    std::fs::write(blobs.join(hex(bytes)), bytes).expect("a blob");
}

fn write_layout(folder: &Path, media_type: &str, bytes: &[u8], reference: &str) {
    let mut entry = descriptor(media_type, bytes);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": reference});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    std::fs::write(folder.join("index.json"), index.to_string()).expect("the layout's index");
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
        .expect("the layout's mark");
}

fn put_blob(registry: &Registry, repository: &str, bytes: &[u8]) {
    let url = format!("{}/v2/{repository}/blobs/uploads/", registry.url());
    let begun = send(&Request { method: "POST", ..Request::get(&url) }).expect_status(202);
    let place = begun.header("location").expect("where to upload to");
    let url = format!("{place}&digest={}", digest(bytes));
    let headers = [("Content-Type", "application/octet-stream")];
    let put = Request { method: "PUT", headers: &headers, body: bytes, ..Request::get(&url) };
    send(&put).expect_status(201);
}

fn put_manifest(registry: &Registry, repository: &str, reference: &str, kind: &str, bytes: &[u8]) -> Pushed {
    let url = format!("{}/v2/{repository}/manifests/{reference}", registry.url());
    let headers = [("Content-Type", kind)];
    let put = Request { method: "PUT", headers: &headers, body: bytes, ..Request::get(&url) };
    let answer = send(&put).expect_status(201);
    assert_eq!(answer.header("docker-content-digest"), Some(digest(bytes).as_str()), "the registry's digest");
    Pushed { digest: digest(bytes), size: bytes.len() }
}

fn send(request: &Request<'_>) -> Answer {
    request.send().unwrap_or_else(|why| panic!("{} {}: {why}", request.method, request.url))
}
