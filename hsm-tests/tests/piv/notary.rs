//! The real `notary`, which signs with a root key on a YubiKey by itself.
//!
//! It does not bring one there, though it looks so. It sends the certificate, and then the key, whose touch it asks for
//! by CKA_VENDOR_DEFINED: no ykcs11 since 2.0 knows that (Debian 12 has 2.2), and each refuses the key before the card
//! hears of it. So `key list` has found the certificate and says "yubikey", while the key is in its file and signs there,
//! as long as that process lives; a later one asks the card, which has no key. Here Yubico's tool brings it; or notary does,
//! with a module in between that leaves that one attribute out, or through a ykcs11 from before 2.0 ([`OLD_MODULE`]), for
//! which it was written.
//!
//! Nor does it make the certificate that a new repository has for such a key: it hashes twice, and Go notices. It takes
//! one from somebody else.

use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::images::digest;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{Pcscd, YUBICOS};
use hsm_tests::piv::{Firmware, PivCard, Touch};
use hsm_tests::place::Place;
use hsm_tests::shim::Shim;

/// Names the file of a ykcs11 from before 2.0, which Debian 12 does not have: notary stores its key through that.
const OLD_MODULE: &str = "NOTARY_YKCS11";
const GUN: &str = "localhost:5000/icho/alpine";
/// INS of the commands that bring an object, and a key, to a card.
const PUT_DATA: u8 = 0xdb;
const IMPORT_KEY: u8 = 0xfe;

/// The id of a root key that `notary` made, and that is on the card alone; `notary` wanted it there.
pub(super) fn root_key_on_the_card(home: &Home, notary: &Notary, pcscd: &Pcscd) -> String {
    let controls = pcscd.reader().controls();
    let made = home.notary(notary).args(["-D", "key", "generate", "ecdsa", "-r", "root"]).ok();
    let made = made.says("store key using yubikey slot [2]").says("Failed to add key to yubikey");
    assert!(controls.count(PUT_DATA) > 0, "{made}");
    assert_eq!(controls.count(IMPORT_KEY), 0, "this ykcs11 takes the key: leave it to notary\n{made}");

    let file = root_key(&home.trust());
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    move_to_the_card(pcscd, &file);
    lists(home, notary, &id);
    id
}

/// A root key that `notary` has stored on the card itself.
pub(super) struct Stored {
    pub(super) id: String,
    /// How many each of its signatures wants.
    pub(super) touches: usize,
}

/// A root key that `notary` has stored on the card itself, through Yubico's module. An old one does all that is asked of
/// it. A new one is left out of hearing how the key is to be touched, which is all that it does not understand, and the
/// key has the card's own policies then. Notary keeps a copy in a file, which goes.
pub(super) fn root_key_stored_by_notary(home: &Home, notary: &Notary, pcscd: &Pcscd) -> Stored {
    let controls = pcscd.reader().controls();
    let cli = home.notary(notary).args(["-D", "key", "generate", "ecdsa", "-r", "root"]);
    let (made, touches) = match std::env::var_os(OLD_MODULE) {
        Some(old) => {
            let beside = PivCard::new(Firmware::V5_4, 87_654_321);
            pcscd.readers()[1].insert(beside); // it does not start while a reader of Yubico's is empty
            (cli.where_this_is(&ykcs11(), Path::new(&old)).ok(), 1)
        }
        None => (generated_out_of_hearing(cli), 0),
    };
    let made = made.says("store key using yubikey slot [2]").says_nothing_of("Failed to add key to yubikey");
    assert!(controls.count(IMPORT_KEY) > 0, "{made}");
    let file = root_key(&home.trust());
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(file).unwrap();
    lists(home, notary, &id);
    Stored { id, touches }
}

/// What `notary` says when Debian's module does not hear that attribute.
fn generated_out_of_hearing(cli: Cli) -> Ran {
    let (module, place) = (ykcs11(), Place::new());
    std::fs::copy(&module, place.join("libykcs11.so")).unwrap();
    let shim = Shim::before(place.join("libykcs11.so"));
    shim.order("C_CreateObject always without 80000000\n");
    let environment = shim.environment();
    let cli = environment.iter().fold(cli, |cli, (name, value)| cli.env(name, value));
    cli.where_this_is(&module, &shim.module()).ok()
}

/// The module as Debian names it, for whoever builds with it.
fn ykcs11() -> PathBuf {
    let places =
        ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|machine| format!("/usr/lib/{machine}/libykcs11.so"));
    let found = places.iter().map(PathBuf::from).find(|file| file.exists());
    found.and_then(|file| file.canonicalize().ok()).expect("Debian's package ykcs11")
}

/// The file of the root key in a trust directory.
fn root_key(trust: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(trust.join("private")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| std::fs::read_to_string(file).unwrap().contains("role: root")).expect("a root key")
}

/// From its file into slot 9c, where it wants a touch every time and the PIN once; the file is gone.
fn move_to_the_card(pcscd: &Pcscd, file: &Path) {
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

/// A certificate of the root key on this card for [`GUN`], as `certificate` in this folder. Who signed it, nobody asks.
fn certify(pcscd: &Pcscd, place: &Place) -> PathBuf {
    let yubico = pcscd.cli("yubico-piv-tool").folder(place.path());
    yubico.args(["-r", "", "-a", "read-certificate", "-s", "9c", "-o", "beside"]).ok();
    let openssl = |args: &[&str]| Cli::new(tool("openssl")).folder(place.path()).args(args).ok();
    openssl(&["x509", "-in", "beside", "-noout", "-pubkey", "-out", "public"]);
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "anybody"]);
    let name = format!("/CN={}", GUN.replace('/', "\\/"));
    let signed = ["-force_pubkey", "public", "-signkey", "anybody", "-days", "3650", "-out", "certificate"];
    openssl(&[&["x509", "-new", "-subj", &name], &signed[..]].concat());
    place.join("certificate")
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
    root_key_on_the_card(&home, &notary, &pcscd);
    let (place, touched) = (Place::new(), controls.touches_wanted());
    let certificate = certify(&pcscd, &place);
    let signs = |args: &[&str]| {
        controls.fingers(Touch::OnDemand);
        let signing = home.notary(&notary).args(args).spawn();
        controls.wait_until_it_blinks();
        controls.touch();
        signing.wait().exits(0).says("Please touch the attached Yubikey to perform signing.");
        controls.touches_wanted() - touched
    };

    home.notary(&notary).args(["init", GUN]).run().fails().says("ECDSA verification failure");
    assert_eq!(signs(&["init", GUN, "--rootcert", certificate.to_str().unwrap()]), 2);
    let hash = digest(b"any manifest").replace("sha256:", "");
    home.notary(&notary).args(["addhash", GUN, "1", "523", "--sha256", &hash, "-p"]).ok();
    other.notary(&notary).args(["lookup", GUN, "1"]).ok().says(&hash);
    assert_eq!(root_version(&other, GUN), 1);

    assert_eq!(signs(&["key", "rotate", GUN, "snapshot", "-r"]), 3);
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
