//! What the daemon adds to what the card itself takes, and how often the card is asked for it.

use std::time::{Duration, Instant};

use hsm_tests::pcscd::apart;
use hsm_tests::piv::OWN_PIN;
use hsm_tests::soak;
use yubikey::YubiKey;
use yubikey::piv::{AlgorithmId, SlotId, sign_data};

use crate::world::{SERIAL, World};

/// What a real card takes for a signature, about.
const CARD: Duration = Duration::from_millis(50);
/// Signatures in a turn.
const TURN: usize = 20;
/// GENERAL AUTHENTICATE: the use of a key.
const USE: u8 = 0x87;

/// The one in the middle of so many.
fn median(mut work: impl FnMut()) -> Duration {
    let mut took = [(); TURN].map(|()| {
        let since = Instant::now();
        work();
        since.elapsed()
    });
    took.sort_unstable();
    took[TURN / 2]
}

/// Without the daemon: as much as any program does that signs on the same card.
fn direct() -> Duration {
    let mut card = YubiKey::open_by_serial(SERIAL.into()).unwrap();
    card.verify_pin(OWN_PIN.as_bytes()).unwrap();
    let took = median(|| {
        sign_data(&mut card, &[0x5a; 32], AlgorithmId::EccP256, SlotId::Signature).unwrap();
    });
    card.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
    took
}

/// What a signature takes on the card alone and by the daemon, in milliseconds.
fn both(world: &World, delay: Duration) -> (f64, f64) {
    world.card().delay(delay);
    let card = direct();
    world.resets_the_card();
    world.card().forget();
    world.root().unwrap();
    assert_eq!((world.card().pins_sent(), world.card().count(USE)), (1, 1));
    let daemon = median(|| world.root().unwrap());
    assert_eq!((world.card().pins_sent(), world.card().count(USE)), (1, 1 + TURN), "once, for all of them");
    (card.as_secs_f64() * 1000.0, daemon.as_secs_f64() * 1000.0)
}

#[test]
fn the_daemon_adds_little_to_what_the_card_takes_and_sends_the_pin_once() {
    apart(|pcscd| {
        let world = World::on(pcscd);
        for (name, delay) in [("that takes no time", Duration::ZERO), ("as slow as a real one", CARD)] {
            let turns = (0..soak::rounds(1, 5)).map(|_| both(&world, delay));
            let best = turns.min_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
            let (card, daemon) = best.unwrap();
            let rounded = |figure: f64| (figure * 100.0).round() / 100.0;
            let what = format!("the daemon adds to the {card:.2} ms of a card {name}, ms");
            soak::at_most(&what, rounded(daemon - card), 5.0);
            if delay == CARD {
                soak::at_most(
                    "a signature by the daemon, in parts of the card's",
                    rounded(daemon / card),
                    1.1,
                );
            }
        }
    });
}
