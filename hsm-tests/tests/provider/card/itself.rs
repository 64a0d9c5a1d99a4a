//! What kind of card it is, what it answers, and what is heard and felt of it.

use std::time::Instant;

use hsm_tests::cli::{Cli, tool};
use hsm_tests::pcscd::{NOBODYS, Pcscd, apart};
use hsm_tests::piv::{Firmware, Malformed};
use hsm_tests::place::Place;
use hsm_tests::softhsm::PIN;
use touchmarkd::token::{HelperProgram, KeyPolicy, Presence, TokenError};

use super::{At, says};
use crate::yubikey::{SERIAL, card};

#[tokio::test]
async fn a_malformed_answer_is_the_error_of_one_job() {
    let (at, key) = At::with_key().await;
    let sane = || at.controls().malform(None);

    at.controls().malform(Some(Malformed::EmptyMetadata));
    let refused = at.token.keys().await.unwrap_err();
    assert!(matches!(refused, TokenError::Failed { .. }), "{refused:?}");
    sane();
    at.recovers(&key, Instant::now()).await;

    // A certificate without contents says nothing; the key is there all the same.
    at.controls().malform(Some(Malformed::EmptyObject));
    let keys = at.token.keys().await.unwrap();
    assert_eq!((keys[0].label.as_str(), &keys[0].public), ("slot 9c (digital signature)", &key.public));
    sane();
    at.signs(&key).await;

    // The crate panics: the helper is lost, and the daemon is not.
    let helper = at.token.helper_pid().unwrap();
    at.controls().malform(Some(Malformed::OneByteKey));
    let refused = at.token.generate_root("never").await.unwrap_err();
    assert!(matches!(refused, TokenError::HelperEnded { .. }), "{refused:?}");
    at.controls().malform(Some(Malformed::ShortVersion));
    at.until(|state| says(state, "panicked")).await;
    let refused = at.login().await.unwrap_err();
    assert!(matches!(refused, TokenError::HelperEnded { .. }), "{refused:?}");
    sane();
    at.recovers(&key, Instant::now()).await;
    assert_ne!(at.token.helper_pid(), Some(helper));
}

#[tokio::test]
async fn old_firmware_does_all_but_remove_a_key() {
    let at = At::with(Firmware::V5_4).await;
    at.login().await.unwrap();
    let key = at.token.generate_root("root").await.unwrap();
    at.signs(&key).await;
    at.token.generate_unwrap().await.unwrap();
    let refused = at.token.delete(&key.key_ref()).await.unwrap_err();
    assert!(
        refused.to_string().contains("its firmware is 5.4.3, and 5.7 is the first that can"),
        "{refused}"
    );
    at.signs(&key).await;
}

/// It does not tell what is in its slots, so nothing is put there; what a certificate tells is used.
#[tokio::test]
async fn firmware_before_5_3_signs_with_the_key_it_has_and_makes_none() {
    let pcscd = Pcscd::with_card(NOBODYS, card(Firmware::V5_2, SERIAL));
    let place = Place::new();
    let key = pcscd.reader().look(|card| card.key_option());
    let piv_tool = |args: &[&str]| {
        pcscd.cli("yubico-piv-tool").folder(place.path()).args(["-r", NOBODYS, &key]).args(args).ok();
    };
    piv_tool(&["-a", "generate", "-A", "ECCP256", "-s", "9c", "--pin-policy", "once", "-o", "public"]);
    piv_tool(&["-a", "attest", "-s", "9c", "-o", "certificate"]);
    piv_tool(&["-a", "import-certificate", "-s", "9c", "-i", "certificate"]);
    let at = At::on(pcscd);
    let state = at.until(|state| state.presence == Presence::Present).await;
    assert_eq!((state.info.unwrap().firmware.as_str(), state.tries_left), ("5.2.4", Some(3)));
    at.controls().forget();
    let keys = at.token.keys().await.unwrap();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    assert_eq!((key.id.as_slice(), key.policy, at.controls().pins_sent()), (&[0x9c][..], None, 0));
    let refused = at.token.login(&at.secret("000000")).await.unwrap_err();
    assert_eq!(refused, TokenError::WrongPin { tries_left: Some(2) });
    at.token.enrol(&key.key_ref());
    at.login().await.unwrap();
    at.signs(key).await;
    at.pcscd.reader().pull_out();
    at.until(|state| state.presence == Presence::Absent).await;
    at.pcscd.reader().put_back();
    at.recovers(key, Instant::now()).await;
    for refused in [at.token.generate_root("root").await.err(), at.token.generate_unwrap().await.err()] {
        let why = refused.unwrap().to_string();
        assert!(
            why.contains("its firmware 5.2.4 does not tell which slots are in use, and 5.3 is the first"),
            "{why}"
        );
    }
    at.signs(key).await;
}

#[tokio::test]
async fn a_second_vault_takes_the_key_of_the_first() {
    let at = At::present().await;
    at.login().await.unwrap();
    let first = at.token.generate_unwrap().await.unwrap();
    assert_eq!(at.token.generate_unwrap().await.unwrap(), first);
}

#[test]
fn the_management_key_is_taken_from_behind_the_pin() {
    apart(|pcscd| {
        pcscd.reader().insert(card(Firmware::V5_7, SERIAL));
        let keep = |work: fn(&yubikey::MgmKey, &mut yubikey::YubiKey)| {
            let mut own = yubikey::YubiKey::open_by_serial(SERIAL.into()).unwrap();
            own.verify_pin(PIN.as_bytes()).unwrap();
            let now = yubikey::MgmKey::get_protected(&mut own);
            own.authenticate(&now.unwrap_or_else(|_| yubikey::MgmKey::get_default(&own).unwrap())).unwrap();
            let new = yubikey::MgmKey::from_bytes([0x5a; 24], Some(yubikey::MgmAlgorithmId::Aes192)).unwrap();
            work(&new, &mut own);
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        keep(|new, own| new.set_protected(own).unwrap());
        let at = runtime.block_on(async {
            let at = At::on(pcscd);
            at.until(|state| state.presence == Presence::Present).await;
            at.login().await.unwrap();
            let key = at.token.generate_root("root").await.unwrap();
            at.signs(&key).await;
            at
        });
        keep(|new, own| new.set_manual(own, false).unwrap());
        runtime.block_on(async {
            at.until(|state| state.presence == Presence::Present && !state.logged_in).await;
            at.login().await.unwrap();
            let refused = at.token.generate_root("root").await.unwrap_err();
            assert!(
                refused.to_string().contains("its management key is not kept behind its PIN"),
                "{refused}"
            );
            assert!(at.token.state().logged_in);
        });
    });
}

/// A helper in which somebody listens to all that is logged: the card's name is heard, a PIN or a command never.
#[tokio::test]
async fn nobody_who_listens_to_the_logs_hears_a_command() {
    let place = Place::new();
    let (pcscd, heard) = (Pcscd::with_card(NOBODYS, card(Firmware::V5_7, SERIAL)), place.join("heard"));
    let listening = format!("exec {} 2> {}", env!("CARGO_BIN_EXE_listening-token-helper"), heard.display());
    let helper = HelperProgram { program: tool("sh"), arguments: vec!["-c".into(), listening.into()] };
    let at = At::run_by(pcscd, helper);
    at.until(|state| state.presence == Presence::Present).await;
    at.login().await.unwrap();
    let key = at.token.generate_root("root").await.unwrap();
    at.signs(&key).await;
    at.token.stop_helper().await;

    let heard = std::fs::read_to_string(heard).unwrap();
    assert!(heard.contains("INFO yubikey::yubikey connected to reader"), "nobody listened: {heard}");
    // As the crate writes bytes: [0, 32, 0, 128, 8, 54, 52, ...
    let digits: Vec<String> = PIN.bytes().map(|digit| digit.to_string()).collect();
    let hex: String = PIN.bytes().map(|digit| format!("{digit:02x}")).collect();
    for secret in [PIN, digits.join(", ").as_str(), hex.as_str(), ">>>", "<<<", "TRACE"] {
        assert!(!heard.contains(secret), "{secret}: {heard}");
    }
}

/// A key that Yubico's tool made is used here, and OpenSSL reads the certificate of one that was made here.
#[tokio::test]
async fn keys_and_certificates_of_other_programs_and_ours_are_understood() {
    let place = Place::new();
    let card = card(Firmware::V5_4, SERIAL);
    let key: String = card.management_key().1.iter().map(|byte| format!("{byte:02x}")).collect();
    let pcscd = Pcscd::with_card(NOBODYS, card);
    let file = |name: &str| place.join(name).display().to_string();
    let tool_of = pcscd.cli("yubico-piv-tool").args(["-r", NOBODYS, &format!("--key={key}")]);
    let piv_tool = |args: &[&str]| tool_of.clone().args(args).ok();
    let once = "--pin-policy=once";
    piv_tool(&["-a", "generate", "-s", "9c", "-A", "ECCP256", once, "-o", &file("public")]);
    let at = At::on(pcscd);
    at.until(|state| state.presence == Presence::Present).await;
    at.login().await.unwrap();
    let found = at.token.keys().await.unwrap();
    let shown = (found.len(), found[0].label.as_str(), found[0].id.as_slice());
    assert_eq!(shown, (1, "slot 9c (digital signature)", [0x9c].as_slice()));
    assert_eq!(found[0].policy, Some(KeyPolicy::PIN_ONCE));
    at.signs(&found[0]).await;

    let ours = at.token.generate_root("team root").await.unwrap();
    assert_eq!(ours.id, [0x82]);
    at.token.stop_helper().await;
    piv_tool(&["-a", "read-certificate", "-s", "82", "-o", &file("ours")]);
    let read =
        Cli::new(tool("openssl")).args(["x509", "-noout", "-subject", "-pubkey", "-in", &file("ours")]).ok();
    let spki = base64(&ours.public.spki().unwrap());
    assert_eq!(read.stdout.replace('\n', "").split("-----").nth(2), Some(spki.as_str()));
    read.says("O = Touchmark, OU = team root, CN = root");
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
