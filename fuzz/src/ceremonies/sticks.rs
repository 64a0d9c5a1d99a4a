//! What lies on a stick and around it: a file of entries that was being written when it was pulled, roots of a trust
//! server, a list of repositories; and words that somebody reads out over the telephone.
use std::collections::BTreeSet;
use std::fs;

use touchmark::args::FleetArgs;
use touchmark::ceremony::anchors::Anchors;
use touchmark::ceremony::fingerprint;
use touchmark::ceremony::fleet;
use touchmark::ceremony::growing::Growing;
use touchmark::ceremony::item::REHEARSAL;
use touchmark::ceremony::plan::{Occasion, REPOSITORIES_MAX};
use touchmark_proto::transcript::{self, Moment};
use touchmark_tuf::{Gun, Sha256Digest};

use super::checker;
use super::entries::{lines, linked};
use crate::Input;
use crate::place::with_folder;

/// Whole entries stay, what was cut short goes, and the next entry follows; a file that is none is not touched.
pub(super) fn growing(input: &mut Input<'_>) {
    let (is_linked, cut) = (input.byte() % 2 == 1, usize::from(input.byte()));
    let rest = input.rest();
    let made = std::str::from_utf8(rest).ok().and_then(lines).map(|lines| linked(&lines).into_bytes());
    let mut bytes = made.filter(|_| is_linked).unwrap_or_else(|| rest.to_vec());
    bytes.truncate(bytes.len().saturating_sub(cut));
    with_folder(|folder| {
        let path = folder.join("transcript");
        fs::write(&path, &bytes).unwrap();
        let Ok(mut opened) = Growing::open(&path) else {
            assert_eq!(fs::read(&path).unwrap(), bytes, "a file that is refused is as it was");
            return;
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        assert_eq!((opened.text.as_bytes(), opened.dropped), (&bytes[..whole], bytes.len() - whole));
        assert_eq!(fs::read(&path).unwrap(), &bytes[..whole]);
        let moment = Moment { time_unix_ms: 1, uptime_ms: 2 };
        opened.growing.append(moment, "asked", serde_json::Map::new()).unwrap();
        let (entries, chain) = transcript::read(&fs::read_to_string(&path).unwrap()).expect("it goes on");
        assert_eq!(entries[..opened.entries.len()], opened.entries);
        assert_eq!((entries.len(), &chain), (opened.entries.len() + 1, opened.growing.chain()));
    });
}

/// A root by which a ceremony is judged is kept as it was served.
pub(super) fn published(file: &[u8]) {
    let mut anchors = Anchors::default();
    if anchors.insert(file, &checker()).is_err() {
        assert_eq!(anchors.all().count(), 0);
        return;
    }
    let all: Vec<_> = anchors.all().collect();
    let [(gun, root)] = all[..] else { panic!("one root was inserted") };
    assert_eq!(root.file(), file);
    let of = anchors.of(gun).and_then(|roots| roots.get(&root.version.get()));
    assert_eq!(of.map(|root| root.file()), Some(file));
}

/// Whole repositories, each once, and of one world.
pub(super) fn list(input: &mut Input<'_>) {
    let occasion = [Occasion::Earnest, Occasion::Rehearsal][usize::from(input.byte() % 2)];
    with_folder(|folder| {
        let list = folder.join("list");
        fs::write(&list, input.rest()).unwrap();
        let Ok(images) = fleet::read(&FleetArgs { images: Vec::new(), list: Some(list) }, occasion) else {
            return;
        };
        assert!((1..=REPOSITORIES_MAX).contains(&images.len()));
        let guns: BTreeSet<&Gun> = images.iter().map(|image| image.gun()).collect();
        assert_eq!(guns.len(), images.len());
        for image in &images {
            assert!(image.tag().is_none() && image.digest().is_none());
            let made_up = image.gun().as_str().starts_with(REHEARSAL);
            assert_eq!(made_up, occasion == Occasion::Rehearsal, "{}", image.gun());
        }
    });
}

/// Nothing but the words of a digest or its own digits stands for it.
pub(super) fn fingerprint(input: &mut Input<'_>) {
    let digest = Sha256Digest::of(input.take(1));
    let words = fingerprint::words(&digest);
    assert!(fingerprint::is_meant(&words, &digest));
    assert!(fingerprint::is_meant(&words.replace('-', " ").to_uppercase(), &digest));
    assert!(fingerprint::is_meant(&digest.to_oci(), &digest));
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    if fingerprint::is_meant(text, &digest) {
        let bare: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let bare = bare.to_ascii_lowercase();
        let hex = digest.to_string();
        let bare = bare.trim_start_matches("sha256");
        let is_hex = bare.len() >= 32 && hex.starts_with(bare);
        assert!(is_hex || bare == words.replace('-', ""), "{text}");
    }
}
