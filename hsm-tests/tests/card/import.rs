//! `key import`: a root key that Notary has kept in a file comes onto the card, and is the same key there.

use std::path::{Path, PathBuf};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, tool};
use hsm_tests::home::{Home, PASSPHRASE};
use hsm_tests::notary::Notary;
use hsm_tests::piv::{Firmware, PivCard};

use crate::{PIN, PUK, SERIAL, World};

/// The file of the root key that notary makes.
fn made_by_notary(home: &Home, notary: &Notary) -> PathBuf {
    home.notary(notary).args(["init", "localhost:5000/team/before"]).ok();
    let files = std::fs::read_dir(home.trust().join("private")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files.find(|file| std::fs::read_to_string(file).unwrap().contains("role: root")).expect("a root key")
}

/// The private number in it.
fn scalar(home: &Home, file: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once("\n\n").expect("headers"); // which OpenSSL does not know
    std::fs::write(home.path().join("encrypted"), format!("{}\n{body}", head.lines().next().unwrap()))
        .unwrap();
    let openssl =
        Cli::new(tool("openssl")).folder(home.path()).args(["ec", "-in", "encrypted", "-noout", "-text"]);
    let shown = openssl.args(["-passin", &format!("pass:{PASSPHRASE}")]).ok().stdout;
    let (_, rest) = shown.split_once("priv:").unwrap();
    let (hex, _) = rest.split_once("pub:").unwrap();
    let hex: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    bytes[bytes.len() - 32..].to_vec()
}

fn files_with(folder: &Path, wanted: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_symlink() {
            continue;
        }
        if entry.is_dir() {
            found.extend(files_with(&entry, wanted));
        } else if entry.is_file()
            && std::fs::read(&entry).unwrap().windows(wanted.len()).any(|some| some == wanted)
        {
            found.push(entry);
        }
    }
    found
}

/// Another program uses the card after the PIN and before the key comes.
#[test]
fn an_import_whose_login_ends_too_early_asks_for_the_pin_once_more() {
    const GET_DATA: u8 = 0xcb;
    let notary = Notary::start(&Ca::new());
    let mut world = World::with(PivCard::new(Firmware::V5_7, SERIAL).set_up(PIN, PUK));
    world.home.use_notary(&notary);
    let file = made_by_notary(&world.home, &notary);
    world.card().come_between(GET_DATA);
    let import = ["key", "import", file.to_str().unwrap(), "--token", "5c"];
    let imported = world.typed(&import, &[PASSPHRASE, PIN, PIN]).ok().json();
    assert_eq!(imported["imported"][0]["id"], file.file_stem().unwrap().to_str().unwrap());
    assert_eq!(world.card().pins_sent(), 2);
}

#[test]
fn a_root_key_of_notary_comes_onto_the_card_and_notary_believes_what_it_signs_there() {
    let notary = Notary::start(&Ca::new());
    let mut world = World::with(PivCard::new(Firmware::V5_7, SERIAL).set_up(PIN, PUK));
    world.home.use_notary(&notary);
    let file = made_by_notary(&world.home, &notary);
    let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
    let scalar = scalar(&Home::new(), &file);

    let path = file.to_str().unwrap();
    let import = [
        "key",
        "import",
        path,
        "--token",
        "5c",
        "--touch",
        "always",
        "--pin-policy",
        "once",
        "--label",
        "old",
    ];
    let wrong = world.typed(&import, &["wrong", PIN]).run().exits(4);
    wrong.says("WRONG_PIN");
    let imported = world.typed(&import, &[PASSPHRASE, PIN]).ok().json();
    let key = &imported["imported"][0];
    assert_eq!((&key["id"], &key["origin"]), (&id.as_str().into(), &"imported".into()), "{imported}");
    let found = [files_with(world.daemon.folder(), &scalar), files_with(world.home.path(), &scalar)].concat();
    assert!(found.is_empty(), "the key in plain: {found:?}");
    std::fs::remove_file(&file).unwrap();

    world.touchmark(&["token", "attest", "5c"]).run().exits(1).says("NOT_ATTESTED").says("was imported");
    world.typed(&["vault", "init", "--token", "5c"], &[PIN]).ok();
    let image = "localhost:5000/team/app";
    let touched = world.card().touches_wanted();
    world.typed(&["init", image, "--root", &id], &[PIN]).ok();
    assert!(world.card().touches_wanted() > touched, "the root key wants its touch");
    let digest = format!("sha256:{}", "ab".repeat(32));
    world.touchmark(&["sign", &format!("{image}:v1"), "--digest", &digest, "--size", "523"]).ok();
    let mut judge = Home::new();
    judge.use_notary(&notary);
    judge.notary(&notary).args(["list", image]).ok().says("v1").says(&"ab".repeat(32));
}
