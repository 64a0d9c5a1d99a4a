use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use serde_json::json;

use super::*;
use crate::registry::Kind;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn the_words_of_from() {
    let dir = tempfile::tempdir().unwrap();
    let with_colon = dir.path().join("a:b");
    fs::create_dir(&with_colon).unwrap();
    let parse = |text: &str| text.parse::<Source>();
    assert_eq!(parse("engine"), Ok(Source::Engine));
    assert_eq!(parse("docker-archive:x.tar"), Ok(Source::DockerArchive { file: "x.tar".into() }));
    assert_eq!(parse("oci:app"), Ok(Source::OciLayout { dir: "app".into(), reference: None }));
    assert_eq!(
        parse("oci:app:1.0"),
        Ok(Source::OciLayout { dir: "app".into(), reference: Some("1.0".into()) })
    );
    let written = format!("oci:{}", with_colon.display());
    assert_eq!(parse(&written), Ok(Source::OciLayout { dir: with_colon, reference: None }));
    for wrong in ["", "oci:", "docker-archive:", "tarball:x"] {
        assert_eq!(parse(wrong).unwrap_err().reason, Reason::Usage, "{wrong}");
    }
}

#[test]
fn a_layout_with_one_image() {
    let layout = Layout::new();
    let manifest = layout.image(&[b"layer one", b"layer two"]);
    layout.index(&[(OCI_MANIFEST, &manifest, None)]);
    let content = Content::from_oci_layout(layout.path(), None).unwrap();
    assert_eq!(content.manifests.len(), 1);
    assert_eq!(content.manifests[0].digest().to_oci(), manifest);
    assert_eq!(content.blobs.len(), 3);
    assert_eq!(content.size(), 2 + 9 + 9);
}

#[test]
fn an_index_comes_after_its_images_and_shares_blobs() {
    let layout = Layout::new();
    let (one, two) = (layout.image(&[b"shared", b"amd64"]), layout.image(&[b"shared", b"arm64"]));
    let index = layout.nested_index(&[&one, &two]);
    layout.index(&[(OCI_INDEX, &index, Some("1.0"))]);
    let content = Content::from_oci_layout(layout.path(), Some("1.0")).unwrap();
    let digests: Vec<_> = content.manifests.iter().map(|manifest| manifest.digest().to_oci()).collect();
    assert_eq!(digests, [one, two, index]);
    assert_eq!(content.manifests[2].kind(), Kind::Index);
    assert_eq!(content.blobs.len(), 4, "one configuration, one shared layer, two more");
}

#[test]
fn a_layout_that_cannot_be_pushed_says_why() {
    let layout = Layout::new();
    let manifest = layout.image(&[b"layer"]);
    layout.index(&[(OCI_MANIFEST, &manifest, Some("1.0")), (OCI_MANIFEST, &manifest, Some("2.0"))]);
    let read = |reference| Content::from_oci_layout(layout.path(), reference);
    assert!(matches!(read(None), Err(SourceError::Choice { present, .. }) if present == ["1.0", "2.0"]));
    assert!(matches!(read(Some("3.0")), Err(SourceError::Choice { wanted, .. }) if wanted == "3.0"));
    let layer = layout.blob_path(&Sha256Digest::of(b"layer").to_oci());
    fs::write(&layer, b"cut").unwrap();
    assert!(matches!(read(Some("1.0")), Err(SourceError::Damaged { .. })));
    fs::remove_file(&layer).unwrap();
    assert!(matches!(read(Some("1.0")), Err(SourceError::Missing { .. })));
    fs::write(layout.blob_path(&manifest), b"{}").unwrap();
    assert!(matches!(read(Some("1.0")), Err(SourceError::Damaged { .. })));
    fs::remove_file(layout.path().join("index.json")).unwrap();
    assert!(matches!(read(None), Err(SourceError::Read { .. })));
}

#[test]
fn an_index_inside_itself_ends() {
    let layout = Layout::new();
    let mut inner = layout.image(&[b"layer"]);
    for _ in 0..6 {
        inner = layout.nested_index(&[&inner]);
    }
    layout.index(&[(OCI_INDEX, &inner, None)]);
    let refused = Content::from_oci_layout(layout.path(), None);
    assert!(matches!(refused, Err(SourceError::Form { .. })), "{refused:?}");
}

#[test]
fn a_saved_image_is_compressed_and_checked() {
    let archive = Saved::new(b"the layer's tar", b"the layer's tar");
    let image = Image::parse("localhost:5000/team/app:1").unwrap();
    let content = Content::from_docker_archive(&archive.0, &image).unwrap();
    let again = Content::from_docker_archive(&archive.0, &image).unwrap();
    assert_eq!(content.manifests[0].digest(), again.manifests[0].digest(), "same image, same manifest");
    assert_eq!(content.blobs.len(), 2);
    let Place::Slice { file, offset } = &content.blobs[1].place else { panic!("layers lie in a file") };
    let mut gzip = vec![0; usize::try_from(content.blobs[1].descriptor.size).unwrap()];
    file.read_exact_at(&mut gzip, *offset).unwrap();
    assert_eq!(Sha256Digest::of(&gzip), content.blobs[1].descriptor.digest);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, b"the layer's tar");
}

#[test]
fn a_saved_image_that_is_damaged_is_refused() {
    let image = Image::parse("localhost:5000/team/app:1").unwrap();
    let other_layer = Saved::new(b"what was saved", b"what is there");
    assert!(matches!(Content::from_docker_archive(&other_layer.0, &image), Err(SourceError::Damaged { .. })));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [0x1f, 0x8b, 8, 0]).unwrap();
    let refused = Content::from_docker_archive(file.path(), &image).unwrap_err();
    assert!(refused.to_string().contains("gunzip it first"), "{refused}");
    fs::write(file.path(), b"").unwrap();
    assert!(matches!(Content::from_docker_archive(file.path(), &image), Err(SourceError::Missing { .. })));
}

/// An OCI layout in the making.
struct Layout(tempfile::TempDir);

impl Layout {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        self.path().join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    fn blob(&self, bytes: &[u8]) -> String {
        let digest = Sha256Digest::of(bytes).to_oci();
        fs::write(self.blob_path(&digest), bytes).unwrap();
        digest
    }

    fn image(&self, layers: &[&[u8]]) -> String {
        let part = |bytes: &[u8]| json!({"mediaType": "x", "digest": self.blob(bytes), "size": bytes.len()});
        let layers: Vec<_> = layers.iter().map(|layer| part(layer)).collect();
        let manifest =
            json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": part(b"{}"), "layers": layers});
        self.blob(manifest.to_string().as_bytes())
    }

    fn nested_index(&self, manifests: &[&str]) -> String {
        let kind = |digest: &str| {
            let text = fs::read_to_string(self.blob_path(digest)).unwrap();
            if text.contains("\"manifests\"") { OCI_INDEX } else { OCI_MANIFEST }
        };
        let entries: Vec<_> = manifests
            .iter()
            .map(|digest| json!({"mediaType": kind(digest), "digest": digest, "size": 1}))
            .collect();
        self.blob(
            json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string().as_bytes(),
        )
    }

    fn index(&self, entries: &[(&str, &str, Option<&str>)]) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(kind, digest, name)| {
                let annotations = name.map(|name| json!({"org.opencontainers.image.ref.name": name}));
                json!({"mediaType": kind, "digest": digest, "size": 1, "annotations": annotations.unwrap_or(json!({}))})
            })
            .collect();
        fs::write(self.path().join("index.json"), json!({"manifests": entries}).to_string()).unwrap();
    }
}

/// A `docker save` archive whose configuration promises `promised` and whose layer is `layer`.
struct Saved(PathBuf, #[allow(dead_code, reason = "keeps the folder")] tempfile::TempDir);

impl Saved {
    fn new(promised: &[u8], layer: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saved.tar");
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(bytes.len()).unwrap());
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        let config = json!({"rootfs": {"type": "layers", "diff_ids": [Sha256Digest::of(promised).to_oci()]}});
        add("config.json", config.to_string().as_bytes());
        add("abc/layer.tar", layer);
        let manifest =
            json!([{"Config": "config.json", "RepoTags": ["other:tag"], "Layers": ["def/layer.tar"]}]);
        add("manifest.json", manifest.to_string().as_bytes());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "def/layer.tar", "../abc/layer.tar").unwrap();
        tar.finish().unwrap();
        Self(path, dir)
    }
}
