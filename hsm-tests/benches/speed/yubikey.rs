//! Signatures by a key on a YubiKey: next versions of real root documents, by the same road. The card is in software
//! behind the real pcscd, and takes as long as a real one.

use std::time::Duration;

use hsm_tests::daemon::{PinFrom, with_card};
use hsm_tests::home::Home;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{Firmware, OWN_PIN, PivCard};

use crate::ROUNDS;
use crate::daemon::connect;
use crate::load::Load;
use crate::repository::{Signing, create_root_key, make};
use crate::rounds::{Rounds, Spread, Turn, progress};
use crate::table::Table;

const SERIAL: u32 = 12_345_678;
/// What a real card takes for a signature, about.
const CARD: Duration = Duration::from_millis(50);
/// Signatures in a turn, of which the median counts.
const SIGNATURES: usize = 20;
/// GENERAL AUTHENTICATE: the use of a key.
const USE: u8 = 0x87;

/// Measures the rows with a card.
pub(crate) fn measure(table: &mut Table) {
    progress("making a card");
    let pcscd = Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_7, SERIAL).owned());
    let (daemon, _pin) = with_card(&pcscd, SERIAL, PinFrom::File, OWN_PIN);
    let mut home = Home::new();
    home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
    home.touchmark().args(["vault", "init", "--passphrase", "--pin-stdin"]).stdin("correct horse\n").ok();
    let mut ours = Load::new(|| async {
        let channel = connect(daemon.socket()).await.unwrap();
        create_root_key(&channel, "5c", "root", "never").await;
        let made = make(&channel, "example.com/bench/yubikey").await;
        vec![Signing::new(channel, &made.gun, vec![made.root]).await]
    });
    let mut direct = pcscd.signer(env!("CARGO_BIN_EXE_card-signer"), pcscd.reader(), OWN_PIN);
    let card = pcscd.reader().controls();
    card.delay(CARD);
    card.forget();
    let contenders: [(&'static str, Turn<'_>); 2] = [
        ("touchmark, YubiKey", Box::new(|| Spread::of(&ours.times(SIGNATURES)).median)),
        ("direct loop", Box::new(|| Spread::of(&direct.times(SIGNATURES)).median)),
    ];
    let rounds = Rounds::run(ROUNDS, &mut { contenders });
    assert_eq!(card.count(USE), 2 * ROUNDS * SIGNATURES, "each signature is one use of the key");
    let [by_daemon, alone] = ["touchmark, YubiKey", "direct loop"].map(|name| rounds.of(name).median);
    let from = format!("{by_daemon:.1} ms : {alone:.1} ms");
    table.figure("yubikey-adds", rounds.difference("touchmark, YubiKey", "direct loop"), &from);
    table.figure("yubikey-ratio", rounds.ratio("touchmark, YubiKey", "direct loop"), &from);
}
