//! The real `notary`, which uses a root key on a YubiKey by itself.
//!
//! It also brings a new root key there by itself, or so it says: it asks for a touch by CKA_VENDOR_DEFINED, which Debian
//! 12's module (ykcs11 2.2) does not know any more, whatever the card; so the certificate gets onto the card and the key
//! stays in a file. Yubico's tool is asked to bring it. And notary cannot begin a repository with a key that is on a card alone: the certificate that it makes for
//! that does not verify, and Go says so, while the signatures of documents do.

use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, tool};
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::images::digest;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{Pcscd, YUBICOS};
use hsm_tests::piv::{Firmware, PivCard, Touch};
use hsm_tests::place::Place;

pub(super) const GUN: &str = "localhost:5000/icho/alpine";

/// The file of the root key in a trust directory.
pub(super) fn root_key(trust: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(trust.join("private")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| std::fs::read_to_string(file).unwrap().contains("role: root")).expect("a root key")
}

/// From its file into slot 9c, where it wants a touch every time and the PIN once; the file is gone.
pub(super) fn move_to_the_card(pcscd: &Pcscd, file: &Path) {
    let place = Place::new();
    let text = std::fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once("\n\n").expect("headers"); // which OpenSSL does not know
    let pem = format!("{}\n{body}", head.lines().next().unwrap());
    std::fs::write(place.join("encrypted"), pem).unwrap();
    let openssl = Cli::new(tool("openssl")).folder(place.path()).args(["pkey", "-in", "encrypted"]);
    openssl.args(["-passin", &format!("pass:{PASSPHRASE}"), "-traditional", "-out", "key"]).ok();
    let yubico = pcscd.cli("yubico-piv-tool").folder(place.path()).args(["-r", "", "-a", "import-key"]);
    yubico.args(["-s", "9c", "-i", "key", "--pin-policy", "once", "--touch-policy", "always"]).ok();
    std::fs::remove_file(file).unwrap();
}

#[test]
fn notary_finds_its_root_key_on_the_card_and_signs_with_it_after_a_touch() {
    let (notary, mut home) = (Notary::start(&Ca::new()), Home::new());
    home.use_notary(&notary);
    let mut other = Home::new(); // without a card
    other.use_notary(&notary);
    let pcscd = Pcscd::with_card(YUBICOS, PivCard::new(Firmware::V5_4, 12_345_678));
    for (name, value) in pcscd.environment() {
        home.set(&name, &value);
    }
    let controls = pcscd.reader().controls();

    home.notary(&notary).args(["init", GUN]).ok();
    let file = root_key(&home.trust());
    let id = file.file_stem().unwrap().to_str().unwrap();
    move_to_the_card(&pcscd, &file);
    lists(&home, &notary, id);

    let hash = digest(b"any manifest").replace("sha256:", "");
    home.notary(&notary).args(["addhash", GUN, "1", "523", "--sha256", &hash, "-p"]).ok();
    other.notary(&notary).args(["lookup", GUN, "1"]).ok().says(&hash);
    assert_eq!(controls.touches_wanted(), 0, "the first root document was signed when the key was in a file");

    controls.fingers(Touch::OnDemand);
    let rotated = home.notary(&notary).args(["key", "rotate", GUN, "snapshot", "-r"]).spawn();
    controls.wait_until_it_blinks();
    controls.touch();
    rotated.wait().exits(0).says("Please touch the attached Yubikey to perform signing.");
    assert_eq!(controls.touches_wanted(), 1);
    other.notary(&notary).args(["lookup", GUN, "1"]).ok().says(&hash);
    assert_eq!(root_version(&other, GUN), 2);
}

/// One root key, on the card, and it has this id.
#[track_caller]
pub(super) fn lists(home: &Home, notary: &Notary, id: &str) {
    let listed = home.notary(notary).args(["key", "list"]).ok().stdout;
    let roots: Vec<_> = listed.lines().map(str::trim_end).filter(|line| line.starts_with("root ")).collect();
    let [root] = roots[..] else { panic!("{listed}") };
    assert!(root.contains(id) && root.ends_with("yubikey"), "{root}");
}

/// The version of the root that this person's `notary` has seen last.
pub(super) fn root_version(home: &Home, gun: &str) -> u64 {
    let root = home.trust().join("tuf").join(gun).join("metadata/root.json");
    let root: serde_json::Value = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
    root["signed"]["version"].as_u64().expect("a version")
}
