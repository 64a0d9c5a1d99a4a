//! `token init`: a card of its owner instead of the factory's, and nothing on it is lost.

use hsm_tests::piv::{DEFAULT_MANAGEMENT_KEY, DEFAULT_PIN, Firmware, PivCard};
use hsm_tests::soak;

use crate::{PIN, PUK, SERIAL, World};

const CREATE: &[&str] = &["key", "create", "root", "--token", "5c"];
const VAULT: &[&str] = &["vault", "init", "--token", "5c"];
const INIT: &[&str] = &["token", "init", "5c"];

#[test]
fn a_factory_fresh_card_gets_no_key_before_it_is_ready() {
    for (firmware, version, algorithm) in [(Firmware::V5_4, "5.4.3", 0x03), (Firmware::V5_7, "5.7.1", 0x0a)] {
        let world = World::with(PivCard::new(firmware, SERIAL));
        assert_eq!(world.factory_values(), ["pin", "puk", "management-key"]);
        for wanted in [CREATE, VAULT] {
            let refused = world.typed(wanted, &[DEFAULT_PIN]).run().exits(4);
            refused.says("TOKEN_NOT_READY").says("touchmark token init 5c");
        }
        assert_eq!(world.card().pins_sent(), 0, "nobody is asked for a PIN that is of no use");

        let ready = world.typed(INIT, &[PUK, PIN]).ok().json();
        let token = &ready["token"];
        assert_eq!((&token["firmware"], &token["tries_left"]), (&version.into(), &3.into()), "{token}");
        assert_eq!(token["serial"], SERIAL.to_string());
        assert_eq!(world.factory_values(), [""; 0]);
        world.pcscd.reader().look(|card| {
            assert!(card.opens_with(PIN, PUK), "other values than those that were typed");
            let (kind, key) = card.management_key();
            assert_eq!(kind, algorithm);
            assert_ne!(key, DEFAULT_MANAGEMENT_KEY);
        });
        world.typed(CREATE, &[PIN]).ok();
        world.typed(VAULT, &[PIN]).ok();
    }
}

#[test]
fn values_that_are_none_are_not_taken() {
    let world = World::with(PivCard::new(Firmware::V5_7, SERIAL));
    for (secrets, why) in [
        ([PUK, "123456"], "this PIN is the factory's"),
        ([PUK, "12345"], "a PIN has 6 to 8 characters"),
        ([PUK, "123456789"], "a PIN has 6 to 8 characters"),
        ([PUK, "64 219"], "a PIN is of digits, letters and signs of ASCII"),
        (["12345678", PIN], "this PUK is the factory's"),
        (["1234567890", PIN], "a PUK has 6 to 8 characters"),
        ([PIN, PIN], "PIN and PUK are the same"),
    ] {
        world.typed(INIT, &secrets).run().exits(2).says("INVALID_FIELD").says(why);
    }
    assert_eq!(world.card().pins_sent(), 0);
    assert_eq!(world.factory_values(), ["pin", "puk", "management-key"]);
}

#[test]
fn what_somebody_has_set_stays_and_so_do_the_keys() {
    let card = PivCard::new(Firmware::V5_7, SERIAL).with_pin("11223344");
    let world = World::with(card);
    let other = world.pcscd.reader().look(|card| card.put_a_key_into(0x9a));

    let refused = world.typed(INIT, &[PUK, "11223355"]).run().exits(4).says("WRONG_PIN");
    assert!(refused.stderr.contains("\"tries_left\":2"), "{refused}");
    assert_eq!(world.factory_values(), ["puk", "management-key"], "nothing was changed");

    world.typed(INIT, &[PUK, "11223344"]).ok();
    assert_eq!(world.factory_values(), [""; 0]);
    world.pcscd.reader().look(|card| {
        assert!(card.opens_with("11223344", PUK));
        assert_eq!(card.key_in(0x9a), Some(other), "a key of somebody else");
    });

    world.card().forget();
    let again = world.typed(INIT, &[PUK, PIN]).run().exits(5).says("CONFLICT");
    again.says("is ready").says("ykman piv reset").says("DESTROYS ALL KEYS");
    assert_eq!(world.card().pins_sent(), 0);
}

#[test]
fn a_card_that_is_pulled_out_meanwhile_can_be_made_ready_again() {
    let rounds = soak::rounds(3, 40);
    for round in 1..=rounds {
        let world = World::with(PivCard::new(Firmware::V5_7, SERIAL));
        world.token_that_is("present");
        world.card().pull_after(round * 30 / rounds);
        drop(world.typed(INIT, &[PUK, PIN]).run());
        world.pcscd.reader().put_back();
        world.token_that_is("present");
        // Of the card itself: what the daemon says may be a second old.
        let (done, has_puk) = world.pcscd.reader().look(|card| {
            let is_new = card.management_key().1 == DEFAULT_MANAGEMENT_KEY;
            let has_puk = card.opens_with(DEFAULT_PIN, PUK) || card.opens_with(PIN, PUK);
            (card.opens_with(PIN, PUK) && !is_new, has_puk)
        });
        if !done {
            world.typed(INIT, if has_puk { &[PIN] } else { &[PUK, PIN] }).ok();
        }
        assert_eq!(world.factory_values(), [""; 0], "round {round}");
        assert!(world.pcscd.reader().look(|card| card.opens_with(PIN, PUK)), "round {round}");
        world.typed(CREATE, &[PIN]).ok();
    }
}
