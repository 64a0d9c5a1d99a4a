//! `token attest`: what a card proves about its keys, and what it does not.

use hsm_tests::cli::{Cli, tool};
use hsm_tests::piv::{AttestationCa, Firmware, Malformed, PivCard};

use crate::{PIN, PUK, SERIAL, World};

const ATTEST: &[&str] = &["token", "attest", "5c"];

/// A card that this CA vouches for, with a root key that wants touches, and the key's id.
fn with_key(authority: &AttestationCa, firmware: Firmware) -> (World, String) {
    let card = PivCard::vouched_for(firmware, SERIAL, authority).set_up(PIN, PUK);
    let world = World::with(card);
    std::fs::write(world.home.path().join("ca.pem"), authority.pem()).unwrap();
    let create = ["key", "create", "root", "--token", "5c", "--touch", "always", "--pin-policy", "once"];
    let id = world.typed(&create, &[PIN]).ok().json()["key"]["id"].as_str().unwrap().to_owned();
    (world, id)
}

/// With the CA of the card.
fn attest(world: &World, more: &[&str]) -> Cli {
    world.touchmark(ATTEST).args(more).args(["--ca", "ca.pem"])
}

#[test]
fn a_key_that_was_made_there_is_proved_and_openssl_agrees() {
    for (firmware, version) in [(Firmware::V5_4, "5.4.3"), (Firmware::V5_7, "5.7.1")] {
        let (world, id) = with_key(&AttestationCa::new(), firmware);
        let shown = attest(&world, &["--out", "saved"]).ok().json();
        let attested = &shown["attested"][0];
        for (name, value) in [
            ("key", id.as_str()),
            ("slot", "9c"),
            ("made", "here"),
            ("serial", "12345678"),
            ("firmware", version),
            ("pin_policy", "once"),
            ("touch_policy", "always"),
        ] {
            assert_eq!(attested[name], value, "{name}: {shown}");
        }
        assert_eq!(attested["root"]["yubico"], false);
        assert_eq!(world.card().pins_sent(), 1, "only for making the key");

        let words = world.home.touchmark().args(ATTEST).args([&id[..12], "--ca", "ca.pem"]).ok();
        words.says("made on the device, in slot 9c").says("none of Yubico's").says("touch: always");
        let verify = ["verify", "-CAfile", "ca.pem", "-untrusted", "saved/f9.pem", "saved/9c.pem"];
        Cli::new(tool("openssl")).folder(world.home.path()).args(verify).ok();
        attest(&world, &["9c"]).ok();
        attest(&world, &["9d"]).run().exits(2).says("KEY_UNKNOWN");
    }
}

#[test]
fn a_card_that_another_authority_vouches_for_is_not_believed() {
    let (world, _) = with_key(&AttestationCa::new(), Firmware::V5_7);
    std::fs::write(world.home.path().join("ca.pem"), AttestationCa::new().pem()).unwrap();
    attest(&world, &[]).run().exits(1).says("NOT_ATTESTED").says("touchmark test PIV root CA");
}

/// As Yubico signs for cards since 5.7.4.
#[test]
fn a_chain_with_two_certificates_between_card_and_root_is_followed_and_none_of_them_may_be_missing() {
    let authority = AttestationCa::with_two_between();
    let (world, id) = with_key(&authority, Firmware::V5_7);
    let shown = attest(&world, &["--out", "saved"]).ok().json();
    assert_eq!(shown["attested"][0]["key"], id.as_str());
    let verify = ["verify", "-CAfile", "ca.pem", "-untrusted", "saved/f9.pem", "saved/9c.pem"];
    Cli::new(tool("openssl")).folder(world.home.path()).args(verify).ok();
    let all = authority.pems();
    for (missing, named) in [(1, "touchmark test intermediate B 1"), (2, "touchmark test PIV B 1")] {
        let others: String = (0..all.len()).filter(|at| *at != missing).map(|at| all[at].as_str()).collect();
        std::fs::write(world.home.path().join("ca.pem"), others).unwrap();
        attest(&world, &[]).run().exits(1).says("NOT_ATTESTED").says(named);
    }
}

#[test]
fn without_a_file_of_authorities_nothing_is_believed_and_it_says_where_they_are() {
    let (world, _) = with_key(&AttestationCa::new(), Firmware::V5_7);
    let refused = world.touchmark(ATTEST).run().exits(2);
    refused.says("attestation-ca.pem").says("https://developers.yubico.com/PKI/").says("--ca FILE");
    let usual = world.home.path().join(".config/touchmark");
    std::fs::create_dir_all(&usual).unwrap();
    std::fs::copy(world.home.path().join("ca.pem"), usual.join("attestation-ca.pem")).unwrap();
    world.touchmark(ATTEST).ok();
    std::fs::write(world.home.path().join("ca.pem"), "no certificate").unwrap();
    attest(&world, &[]).run().exits(2).says("holds no root certificate");
}

/// The same CA, another YubiKey: it says so itself, whatever number it gives pcscd's clients.
#[test]
fn a_card_that_attests_another_serial_number_is_caught() {
    let authority = AttestationCa::new();
    let card = PivCard::vouched_for(Firmware::V5_7, SERIAL, &authority).set_up(PIN, PUK);
    let world = World::with(card.attesting_as(SERIAL + 1));
    std::fs::write(world.home.path().join("ca.pem"), authority.pem()).unwrap();
    world.typed(&["key", "create", "root", "--token", "5c"], &[PIN]).ok();
    let refused = attest(&world, &[]).run().exits(1).says("NOT_ATTESTED");
    refused.says("it is about YubiKey 12345679, and YubiKey 12345678 was asked for");
}

#[test]
fn a_malformed_answer_is_an_error_and_the_token_goes_on() {
    let (world, _) = with_key(&AttestationCa::new(), Firmware::V5_7);
    world.card().malform(Some(Malformed::EmptyAttestation));
    attest(&world, &[]).run().exits(4).says("TOKEN_FAILED").says("a malformed answer");
    world.card().malform(None);
    world.token_that_is("present");
    attest(&world, &[]).ok();
}
