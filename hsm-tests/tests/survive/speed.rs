//! How often the card is asked for a signature and for its PIN; and, printed, what the daemon adds to the card's time: the
//! promise is one of the release program, and `make bench` measures it.

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
fn each_signature_is_one_use_of_the_key_and_the_pin_is_sent_once_for_all() {
    let world = World::new();
    let mut direct = world.pcscd.signer(env!("CARGO_BIN_EXE_card-signer"), world.pcscd.reader(), OWN_PIN);
    for (name, delay) in [("that takes no time", Duration::ZERO), ("as slow as a real one", CARD)] {
        world.card().delay(delay);
        for _ in 0..soak::rounds(1, 5) {
            let (card, daemon) = both(&world, &mut direct);
            let (adds, ratio) = (daemon - card, daemon / card);
            soak::say(&format!(
                "a card {name}: {card:.2} ms; this daemon adds {adds:.2} ms, ratio {ratio:.2}"
            ));
        }
    }
}
