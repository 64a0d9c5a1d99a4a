//! A trust server with well-formed documents and bad intentions: each attack has its name as the answer, and the
//! cache stays as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "attacks/forge.rs"]
mod forge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hsm_tests::ca::Ca;
use hsm_tests::cli::Ran;
use hsm_tests::home::Home;
use hsm_tests::hostile::{Hostile, Reply};
use serde_json::{Value, json};

use forge::{Delegated, EXPIRED, Files, Key, Publisher, file, hex};

const GUN: &str = "localhost:5000/icho/alpine";

/// A server that has what it is told to have, and a reader who knows it.
struct Stage {
    publisher: Publisher,
    files: Arc<Mutex<Files>>,
    server: Hostile,
    reader: Home,
}

impl Stage {
    /// Version 3 is served, with the tag `one`; nobody has read it.
    fn set() -> Self {
        let ca = Ca::new();
        let publisher = Publisher::new(GUN);
        let files = Arc::new(Mutex::new(publisher.edition(3, &[("one", "one")], keep)));
        let shared = Arc::clone(&files);
        let prefix = format!("/v2/{GUN}/_trust/tuf/");
        let server = Hostile::tls(&ca, move |path| {
            let name = path.strip_prefix(&prefix).unwrap_or_default();
            shared
                .lock()
                .unwrap()
                .get(name)
                .map_or_else(|| Reply::status(404), |file| Reply::ok(file.clone()))
        });
        let mut reader = Home::new();
        reader.trust_tls_of(&server.host(), &ca.pem());
        reader.set("DOCKER_CONTENT_TRUST_SERVER", &format!("https://{}", server.host()));
        Self { publisher, files, server, reader }
    }

    /// The same, and the reader has read it.
    fn read() -> Self {
        let stage = Self::set();
        stage.verify("one").exits(0);
        stage
    }

    fn serve(&self, files: Files) {
        *self.files.lock().unwrap() = files;
    }

    fn verify(&self, tag: &str) -> Ran {
        self.reader.touchmark().args(["--format", "json", "verify", &format!("{GUN}:{tag}")]).run()
    }

    /// The answer is no, for this reason, and nothing is written.
    #[track_caller]
    fn refuses(&self, tag: &str, reason: &str) -> Ran {
        let before = tree(&self.reader.trust().join("tuf"));
        let ran = self.verify(tag).exits(1).says(&format!("\"reason\":\"{reason}\""));
        assert_eq!(ran.stdout, "");
        assert_eq!(tree(&self.reader.trust().join("tuf")), before, "the cache has changed");
        ran
    }

    #[track_caller]
    fn accepts(&self, tag: &str, content: &str) {
        let answer = self.verify(tag).exits(0).json();
        assert_eq!(answer["digest"], format!("sha256:{}", hex(content.as_bytes())));
    }
}

fn keep(_role: &str, _document: &mut Value) {}

/// Every file below a folder with the digest of its content.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(tree(&path)),
            path => drop(files.insert(path.clone(), hex(&std::fs::read(path).unwrap()))),
        }
    }
    files
}

#[test]
fn what_is_cached_is_what_was_served_and_nothing_is_fetched_twice() {
    let stage = Stage::read();
    let metadata = stage.reader.trust().join("tuf").join(GUN).join("metadata");
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let name = format!("{role}.json");
        assert_eq!(
            std::fs::read(metadata.join(&name)).unwrap(),
            stage.files.lock().unwrap()[&name],
            "{role}"
        );
    }
    let asked = stage.server.requests().len();
    stage.accepts("one", "one");
    let again: Vec<String> = stage.server.requests().split_off(asked);
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0].contains("/timestamp.json "), "{again:?}");
}

#[test]
fn freezing_every_role_expires() {
    for role in ["timestamp", "snapshot", "targets"] {
        let stage = Stage::read();
        let freeze = |this: &str, document: &mut Value| {
            if this == role {
                document["expires"] = json!(EXPIRED);
            }
        };
        stage.serve(stage.publisher.edition(4, &[("one", "one")], freeze));
        stage.refuses("one", "EXPIRED").says(role).says("2020-01-01");
    }
    let mut stage = Stage::set();
    stage.publisher.roots = vec![file(&stage.publisher.root_document(1, EXPIRED), &[&stage.publisher.root])];
    stage.serve(stage.publisher.edition(4, &[("one", "one")], keep));
    stage.refuses("one", "EXPIRED").says("root");
}

#[test]
fn rolling_back_each_role() {
    let stage = Stage::read();
    stage.serve(stage.publisher.edition(2, &[("one", "old")], keep));
    stage.refuses("one", "ROLLBACK").says("timestamp");

    for role in ["snapshot", "targets"] {
        let back = |this: &str, document: &mut Value| {
            if this == role {
                document["version"] = json!(2);
            }
        };
        stage.serve(stage.publisher.edition(4, &[("one", "old")], back));
        stage.refuses("one", "ROLLBACK").says(role);
    }
}

#[test]
fn mixing_documents_of_two_editions() {
    let stage = Stage::read();
    let mut files = stage.publisher.edition(5, &[("one", "new")], keep);
    let old = stage.publisher.edition(4, &[("one", "old")], keep)["targets.json"].clone();
    for (name, content) in &mut files {
        if name.starts_with("targets.") {
            content.clone_from(&old);
        }
    }
    stage.serve(files);
    // Whether the length differs too decides what is seen first; neither is an answer.
    let ran = stage.verify("one");
    assert!(matches!(ran.code(), Some(1 | 6)), "{ran}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_byte_changed_on_the_way() {
    let stage = Stage::set();
    for (name, content) in stage.files.lock().unwrap().iter_mut() {
        if name.starts_with("targets.") {
            let text = String::from_utf8(content.clone()).unwrap();
            *content = text.replacen("\"one\"", "\"two\"", 1).into_bytes();
        }
    }
    stage.refuses("two", "HASH_MISMATCH").says("targets");
}

#[test]
fn somebody_else_signs_the_targets() {
    let mut stage = Stage::read();
    stage.publisher.targets = Key::plain();
    stage.serve(stage.publisher.edition(4, &[("one", "evil")], keep));
    stage.refuses("one", "SIGNATURE_INVALID").says("targets");
}

#[test]
fn another_root_for_a_known_repository() {
    let mut stage = Stage::read();
    stage.publisher = Publisher::new(GUN);
    stage.serve(stage.publisher.edition(9, &[("one", "evil")], keep));
    stage.refuses("one", "ROOT_CHANGED").says("touchmark trust forget");
    stage.publisher.rotate(); // a chain of its own does not help it
    stage.serve(stage.publisher.edition(9, &[("one", "evil")], keep));
    stage.refuses("one", "ROOT_CHANGED");
}

#[test]
fn the_root_of_another_repository() {
    let mut stage = Stage::set();
    stage.publisher = Publisher::new("localhost:5000/icho/other");
    stage.serve(stage.publisher.edition(1, &[("one", "evil")], keep));
    stage.refuses("one", "TRUST_DATA_INVALID").says("localhost:5000/icho/other");
}

#[test]
fn a_reader_several_roots_behind_follows_the_chain_and_only_a_whole_one() {
    let mut stage = Stage::read();
    for _ in 0..3 {
        stage.publisher.rotate();
    }
    let whole = stage.publisher.edition(4, &[("one", "new")], keep);
    let mut broken = whole.clone();
    broken.remove("3.root.json");
    stage.serve(broken);
    let ran = stage.verify("one").exits(6);
    ran.says("TRUST_SERVER_UNREACHABLE").says("3.root.json");

    stage.serve(whole);
    stage.accepts("one", "new");
    let kept = stage.reader.trust().join("tuf").join(GUN).join("metadata/root.json");
    assert_eq!(&std::fs::read(kept).unwrap(), stage.publisher.roots.last().unwrap());
}

#[test]
fn releases_goes_before_targets_and_a_broken_one_is_never_passed_over() {
    let stage = Stage::set();
    let publisher = &stage.publisher;
    let releases =
        &[Delegated { role: "targets/releases", key: &publisher.releases, tags: &[("one", "released")] }];
    stage.serve(publisher.edition_with(4, &[("one", "one"), ("two", "two")], releases, keep));
    stage.accepts("one", "released");
    stage.accepts("two", "two");

    let expire = |role: &str, document: &mut Value| {
        if role == "targets/releases" {
            document["expires"] = json!(EXPIRED);
        }
    };
    stage.serve(publisher.edition_with(5, &[("one", "one"), ("two", "two")], releases, expire));
    stage.refuses("one", "EXPIRED").says("targets/releases");
    stage.refuses("two", "EXPIRED").says("targets/releases");

    let mut withheld = publisher.edition_with(6, &[("one", "one")], releases, keep);
    withheld.retain(|name, _| !name.starts_with("targets/releases"));
    stage.serve(withheld);
    stage.verify("one").exits(6).says("TRUST_SERVER_UNREACHABLE").says("targets/releases");
}

#[test]
fn a_signer_alone_is_nobody_and_a_broken_signer_stops_nobody() {
    let stage = Stage::set();
    let publisher = &stage.publisher;
    let alice = &[Delegated { role: "targets/alice", key: &publisher.alice, tags: &[("hers", "hers")] }];
    stage.serve(publisher.edition_with(4, &[("one", "one")], alice, keep));
    stage.verify("hers").exits(1).says("TAG_NOT_SIGNED");

    let expire = |role: &str, document: &mut Value| {
        if role == "targets/alice" {
            document["expires"] = json!(EXPIRED);
        }
    };
    stage.serve(publisher.edition_with(5, &[("one", "one")], alice, expire));
    stage.verify("one").exits(0).says("targets/alice");
    let shown = stage.reader.touchmark().args(["inspect", GUN]).ok();
    shown.says("targets/alice").says("expired");
}

#[test]
fn a_name_that_go_reads_and_others_do_not() {
    let stage = Stage::set();
    let smuggle = |role: &str, document: &mut Value| {
        if role == "targets" {
            let evil = document["targets"]["one"].clone();
            document["Targets"] = json!({"evil": evil});
        }
    };
    stage.serve(stage.publisher.edition(4, &[("one", "one")], smuggle));
    stage.refuses("evil", "TRUST_DATA_INVALID");
    stage.refuses("one", "TRUST_DATA_INVALID");
}

#[test]
fn an_outage_is_bridged_by_the_cache_until_it_expires() {
    let stage = Stage::read();
    stage.serve(Files::new());
    let bridged = stage.verify("one").exits(0).says("warning");
    assert_ne!(bridged.json()["cached"], Value::Null);

    let stage = Stage::set();
    let soon = |role: &str, document: &mut Value| {
        if role == "timestamp" {
            document["expires"] = json!(EXPIRED);
        }
    };
    let metadata = stage.reader.trust().join("tuf").join(GUN).join("metadata");
    std::fs::create_dir_all(&metadata).unwrap();
    for (name, file) in stage.publisher.edition(3, &[("one", "one")], soon) {
        std::fs::write(metadata.join(name.replace('/', "_")), file).unwrap();
    }
    stage.serve(Files::new());
    stage.verify("one").exits(6).says("TRUST_SERVER_UNREACHABLE").says("expired");
}

#[test]
fn eight_readers_at_once_leave_one_whole_cache() {
    let stage = Stage::set();
    let commands: Vec<_> =
        (0..8).map(|_| stage.reader.touchmark().args(["verify", &format!("{GUN}:one")]).spawn()).collect();
    let wanted = format!("{GUN}@sha256:{}\n", hex(b"one"));
    for command in commands {
        assert_eq!(command.wait().exits(0).stdout, wanted);
    }
    stage.serve(Files::new());
    stage.accepts("one", "one"); // from the cache alone
}

#[test]
fn a_directory_that_cannot_be_written_answers_all_the_same_and_says_first_use_each_time() {
    let stage = Stage::set();
    let image = format!("{GUN}:one");
    for _ in 0..2 {
        let verify = stage.reader.touchmark().args(["--trust-dir", "/dev/null/trust", "verify", &image]);
        let ran = verify.ok().says("first use").says("not remembered");
        assert_eq!(ran.stdout, format!("{GUN}@sha256:{}\n", hex(b"one")));
    }
}

#[test]
fn names_from_documents_cannot_draw_on_the_terminal() {
    let stage = Stage::set();
    stage.serve(stage.publisher.edition(4, &[("a\u{202e}b", "x"), ("é", "y")], keep));
    let shown = stage.reader.touchmark().args(["inspect", GUN]).ok();
    assert!(shown.stdout.is_ascii(), "{shown}");
    shown.says("a\\u{202e}b");
}

#[test]
fn a_pin_means_this_root_and_no_other_with_a_cache_or_without() {
    let mut stage = Stage::set();
    let pins = stage.reader.path().join("pins.toml");
    std::fs::write(&pins, format!("[roots]\n\"{GUN}\" = [\"{}\"]\n", stage.publisher.root.id)).unwrap();
    stage.reader.set("TOUCHMARK_PINS", pins.to_str().unwrap());
    stage.accepts("one", "one");
    stage.publisher.rotate(); // as it should be: signed by the old root too
    stage.serve(stage.publisher.edition(4, &[("one", "new")], keep));
    stage.refuses("one", "PIN_MISMATCH").says(&stage.publisher.root.id);
    std::fs::remove_dir_all(stage.reader.trust()).unwrap();
    stage.refuses("one", "PIN_MISMATCH").says(&stage.publisher.root.id);
}
