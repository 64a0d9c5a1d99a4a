//! What registries, Notary servers and people's files give the client: manifests, challenges, errors, image layouts,
//! `docker save` archives; and a typed line.
use std::fs;
use std::path::Path;

use serde_json::Value;
use touchmark::doors;
use touchmark::registry::{Kind, Manifest};
use touchmark::source::{Content, Place};
use touchmark_tuf::Sha256Digest;

use crate::Input;
use crate::place::with_folder;

/// The first byte says as what the rest is read.
pub fn pulled(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 8 {
        0 | 1 => manifest(&mut input),
        2 => challenge(input.rest()),
        3 => notary_error(input.rest()),
        4 => line(&mut input),
        5 => with_folder(|folder| archive(folder, input.rest())),
        6 => with_folder(|folder| archive(folder, &saved(&mut input))),
        _ => with_folder(|folder| layout(folder, &mut input)),
    }
}

const TYPES: [&str; 6] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8",
    "application/json",
    "",
];

fn manifest(input: &mut Input<'_>) {
    let served = TYPES[usize::from(input.byte()) % TYPES.len()];
    let bytes = input.rest();
    if let Ok(manifest) = doors::manifest(bytes, served) {
        proper(&manifest, bytes);
    }
}

/// It cannot be taken for a manifest of the other kind, also by a reader that does not look at the case of names.
fn proper(manifest: &Manifest, bytes: &[u8]) {
    assert_eq!(&manifest.bytes()[..], bytes);
    assert_eq!(manifest.digest(), &Sha256Digest::of(bytes));
    let value: Value = serde_json::from_slice(bytes).expect("JSON");
    let fields = value.as_object().expect("an object");
    let has = |wanted: &str| {
        let folded = |name: &str| name.to_lowercase().replace('\u{17f}', "s").replace('\u{212a}', "k");
        fields.iter().filter(|(name, value)| folded(name) == wanted && !value.is_null()).count()
    };
    let (image, index) = (has("config") + has("layers"), has("manifests"));
    match manifest.kind() {
        Kind::Image => assert_eq!((image, index), (2, 0), "{value}"),
        Kind::Index => assert_eq!((image, index), (0, 1), "{value}"),
    }
    assert!(has("mediatype") <= 1, "{value}");
    assert!(manifest.parts().len() <= bytes.len());
}

fn challenge(bytes: &[u8]) {
    let values: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(4).collect();
    let Some(found) = doors::challenge(&values) else { return };
    let [Some(realm), service, scope] = &found else { return };
    let quoted = |name: &str, text: &String| {
        format!(",{name}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let mut again = format!("Bearer x=y{}", quoted("realm", realm));
    again.extend(service.as_ref().map(|text| quoted("service", text)));
    again.extend(scope.as_ref().map(|text| quoted("scope", text)));
    assert_eq!(doors::challenge(&[again.as_bytes()]), Some(found), "{again}");
}

fn notary_error(bytes: &[u8]) {
    let Some((code, words)) = doors::notary_error(bytes) else { return };
    assert!([code, words].iter().all(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
}

fn line(input: &mut Input<'_>) {
    let max = usize::from(input.byte());
    let typed = input.rest();
    let (read, line) = doors::line(typed, max);
    let end = typed.iter().position(|byte| *byte == b'\n');
    assert_eq!(
        read,
        end.map_or(typed.len(), |end| end + 1),
        "the rest is not swallowed, and all of the line is"
    );
    let meant = &typed[..end.unwrap_or(typed.len())];
    let meant = meant.strip_suffix(b"\r").unwrap_or(meant);
    match line {
        Ok(secret) => assert_eq!(secret.expose(), meant),
        Err(_) => assert!(meant.len() > max),
    }
}

/// `docker save`'s archive of one layer: its parts from the fuzzer, with the digest that is theirs where `@0` stands.
fn saved(input: &mut Input<'_>) -> Vec<u8> {
    let layer = input.piece().to_vec();
    let length = usize::from(input.byte());
    let config = with_digests(input.take(length), std::slice::from_ref(&layer));
    let names = ["config.json", "layer.tar", "link", "blobs/sha256/0"];
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let added = match link {
            Some(link) => {
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, name, link)
            }
            None => tar.append_data(&mut header, name, bytes),
        };
        added.unwrap();
    };
    add(names[0], &config, None);
    add(names[1], &layer, None);
    add(names[2], &[], Some(names[usize::from(input.byte()) % names.len()]));
    add(names[3], &layer, None);
    add("manifest.json", input.rest(), None);
    tar.into_inner().unwrap()
}

fn archive(folder: &Path, bytes: &[u8]) {
    let file = folder.join("saved.tar");
    fs::write(&file, bytes).unwrap();
    if let Ok(content) = Content::from_docker_archive(&file, &"docker.io/library/a:1".parse().unwrap()) {
        whole(&content);
    }
}

/// An OCI layout: `index.json`, then blobs, each under its own digest; `@0`, `@1` stand for the digests of those before.
fn layout(folder: &Path, input: &mut Input<'_>) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let count = input.byte() % 5;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for _ in 0..count {
        let length = usize::from(input.number() % 1024);
        let part = with_digests(input.take(length), &parts);
        fs::write(blobs.join(Sha256Digest::of(&part).to_string()), &part).unwrap();
        parts.push(part);
    }
    fs::write(folder.join("index.json"), with_digests(input.rest(), &parts)).unwrap();
    for reference in [None, Some("1.0")] {
        if let Ok(content) = Content::from_oci_layout(folder, reference) {
            whole(&content);
        }
    }
}

fn with_digests(text: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let part = bytes.peek().and_then(|next| parts.get(usize::from(next.wrapping_sub(b'0'))));
        match part {
            Some(part) if byte == b'@' => {
                bytes.next();
                out.extend(Sha256Digest::of(part).to_oci().into_bytes());
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Everything that the image needs is in it, once, before what points to it.
fn whole(content: &Content) {
    let mut known = std::collections::BTreeSet::new();
    for blob in &content.blobs {
        assert!(known.insert(blob.descriptor.digest), "a blob stands twice");
        if let Place::Path(path) = &blob.place {
            assert_eq!(fs::metadata(path).unwrap().len(), blob.descriptor.size);
        }
    }
    for manifest in &content.manifests {
        proper(manifest, manifest.bytes());
        assert!(manifest.parts().iter().all(|part| known.contains(&part.digest)), "something is missing");
        known.insert(*manifest.digest());
    }
    assert!(!content.manifests.is_empty());
}
