//! What the daemon adds to what the card itself takes, and how often the card is asked for it.

use std::time::{Duration, Instant};

use hsm_tests::pcscd::Signer;
use hsm_tests::piv::OWN_PIN;
use hsm_tests::soak;

use crate::world::World;

/// What a real card takes for a signature, about.
const CARD: Duration = Duration::from_millis(50);
/// Signatures in a turn.
const TURN: usize = 20;
/// GENERAL AUTHENTICATE: the use of a key.
const USE: u8 = 0x87;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What a signature takes on the card alone and by the daemon, in milliseconds.
fn both(world: &World, direct: &mut Signer) -> (f64, f64) {
    let card = median(direct.times(TURN));
    world.resets_the_card();
    world.card().forget();
    world.root().unwrap();
    assert_eq!((world.card().pins_sent(), world.card().count(USE)), (1, 1));
    let times = [(); TURN].map(|()| {
        let since = Instant::now();
        world.root().unwrap();
        since.elapsed().as_secs_f64() * 1000.0
    });
    assert_eq!((world.card().pins_sent(), world.card().count(USE)), (1, 1 + TURN), "once, for all of them");
    (card, median(times.into()))
}

#[test]
fn the_daemon_adds_little_to_what_the_card_takes_and_sends_the_pin_once() {
    let world = World::new();
    let mut direct = world.pcscd.signer(env!("CARGO_BIN_EXE_card-signer"), world.pcscd.reader(), OWN_PIN);
    for (name, delay) in [("that takes no time", Duration::ZERO), ("as slow as a real one", CARD)] {
        world.card().delay(delay);
        let turns = (0..soak::rounds(1, 5)).map(|_| both(&world, &mut direct));
        let best = turns.min_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
        let (card, daemon) = best.unwrap();
        let rounded = |figure: f64| (figure * 100.0).round() / 100.0;
        let what = format!("the daemon adds to the {card:.2} ms of a card {name}, ms");
        soak::at_most(&what, rounded(daemon - card), 5.0);
        if delay == CARD {
            soak::at_most("a signature by the daemon, in parts of the card's", rounded(daemon / card), 1.1);
        }
    }
}
