//! One root key on one card, for the real `notary` and for Touchmark.

use hsm_tests::ca::Ca;
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{Pcscd, YUBICOS};
use hsm_tests::piv::{DEFAULT_PIN, DEFAULT_PUK, Firmware, OWN_PIN, OWN_PUK, PivCard, Touch};

use super::notary::{Stored, lists, root_key_on_the_card, root_key_stored_by_notary, root_version};

const SERIAL: u32 = 12_345_678;
const IMAGE: &str = "localhost:5000/team/app";

/// A trust server, a card in a reader of a YubiKey's name, and somebody with `notary` and `touchmark`.
struct World {
    notary: Notary,
    home: Home,
    _daemon: Daemon,
    pcscd: Pcscd,
}

impl World {
    fn with(card: PivCard) -> Self {
        let notary = Notary::start(&Ca::new());
        let pcscd = Pcscd::with_card(YUBICOS, card);
        let daemon = Daemon::with_yubikeys(&pcscd, &[("5c", SERIAL)]);
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        for (name, value) in pcscd.environment() {
            home.set(&name, &value);
        }
        // The first look selects the application, and ends what somebody else is doing there.
        home.token_that_is("5c", "present");
        Self { notary, home, _daemon: daemon, pcscd }
    }

    fn touchmark(&self, secret: &str, args: &[&str]) -> serde_json::Value {
        let cli = self.home.touchmark().args(["--format", "json"]).args(args);
        cli.arg("--pin-stdin").stdin(format!("{secret}\n")).ok().json()
    }

    /// With Yubico's tool, as Touchmark wants a card that has a root key, or as notary does, which knows one PIN alone.
    fn change(&self, what: &str, from: &str, to: &str) {
        let tool = self.pcscd.cli("yubico-piv-tool").args(["-r", "", "-a", what]);
        tool.args(["-P", from, "-N", to]).ok();
    }

    /// A repository whose root key is this one, and the tag v1 in it.
    fn signs(&self, root: &str) {
        self.touchmark(OWN_PIN, &["init", IMAGE, "--root", root]);
        let tag =
            [&format!("{IMAGE}:v1"), "--digest", &format!("sha256:{}", "ab".repeat(32)), "--size", "523"];
        self.home.touchmark().arg("sign").args(tag).ok();
    }

    /// Somebody who knows nothing yet, and has no card, reads it.
    fn judge(&self) -> Home {
        let mut judge = Home::new();
        judge.use_notary(&self.notary);
        judge.notary(&self.notary).args(["list", IMAGE]).ok().says("v1").says(&"ab".repeat(32));
        judge
    }
}

#[test]
fn a_root_key_of_notarys_is_found_on_the_card_and_signs_for_touchmark() {
    let world = World::with(PivCard::new(Firmware::V5_4, SERIAL));
    let id = root_key_on_the_card(&world.home, &world.notary, &world.pcscd);
    assert_eq!(is_used_by_touchmark(&world, &id), 2, "a certificate and a root");
}

/// The key that Yubico's tool brings is notary's too; this one notary brings itself.
#[test]
fn a_root_key_that_notary_itself_stores_on_the_card_signs_for_touchmark() {
    let world = World::with(PivCard::new(Firmware::V5_4, SERIAL));
    let Stored { id, touches } = root_key_stored_by_notary(&world.home, &world.notary, &world.pcscd);
    assert_eq!(is_used_by_touchmark(&world, &id), 2 * touches, "a certificate and a root");
}

/// How many touches that takes. Its owner has set a PIN and a PUK since.
fn is_used_by_touchmark(world: &World, id: &str) -> usize {
    let touched = world.pcscd.reader().controls().touches_wanted();
    world.change("change-pin", DEFAULT_PIN, OWN_PIN);
    world.change("change-puk", DEFAULT_PUK, OWN_PUK);
    world.touchmark("correct horse", &["vault", "init", "--passphrase"]);
    world.touchmark(OWN_PIN, &["unlock", "5c"]);
    let keys = world.home.touchmark().args(["--format", "json", "key", "ls"]).ok().json();
    let roots: Vec<_> = keys["keys"].as_array().unwrap().iter().filter(|key| key["role"] == "root").collect();
    let [root] = roots[..] else { panic!("{keys}") };
    assert_eq!(root["id"], id, "{root}");
    world.signs(id);
    world.judge();
    world.pcscd.reader().controls().touches_wanted() - touched
}

#[test]
fn a_root_key_of_touchmarks_is_listed_by_notary_which_signs_with_it_after_a_touch() {
    let world = World::with(PivCard::new(Firmware::V5_4, SERIAL).owned());
    world.touchmark("correct horse", &["vault", "init", "--passphrase"]);
    let made = ["key", "create", "root", "--token", "5c", "--touch", "always", "--label", "team root"];
    let made = world.touchmark(OWN_PIN, &made);
    let id = made["key"]["id"].as_str().unwrap();
    lists(&world.home, &world.notary, id);
    world.signs(id);
    assert_eq!(root_version(&world.judge(), IMAGE), 1);

    world.change("change-pin", OWN_PIN, DEFAULT_PIN);
    let controls = world.pcscd.reader().controls();
    controls.fingers(Touch::OnDemand);
    let touched = controls.touches_wanted();
    let rotated = world.home.notary(&world.notary).args(["key", "rotate", IMAGE, "snapshot", "-r"]).spawn();
    controls.wait_until_it_blinks();
    controls.touch();
    rotated.wait().exits(0).says("Please touch the attached Yubikey to perform signing.");
    assert_eq!(controls.touches_wanted(), touched + 1);
    assert_eq!(root_version(&world.judge(), IMAGE), 2);
}
