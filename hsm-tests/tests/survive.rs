//! Whatever happens to a YubiKey or to the way to it, the shipped daemon has it again by itself soon after that is over:
//! no restart, no person, and no try of its PIN. Meanwhile the vault signs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "survive/causes.rs"]
mod causes;
#[path = "survive/pins.rs"]
mod pins;
#[path = "survive/speed.rs"]
mod speed;
#[path = "survive/world.rs"]
mod world;
#[path = "survive/wrong.rs"]
mod wrong;

use hsm_tests::soak;

use causes::CAUSES;
use world::World;

/// So many daemons, each with a pcscd and a card of its own, share the rounds: there is more to wait for than to compute.
const WORLDS: usize = 25;
/// Of every cause, in each world.
const ROUNDS: usize = 2;
/// Within this the daemon has its card again, in milliseconds.
const SOON: u128 = 5000;

#[test]
fn whatever_happens_to_the_card_fifty_times_it_is_back_by_itself_and_no_try_is_wasted() {
    let worst = std::thread::scope(|scope| {
        let worlds: Vec<_> = (0..WORLDS).map(|number| scope.spawn(move || life(number))).collect();
        let each = worlds.into_iter().map(|world| world.join().unwrap());
        each.reduce(|one, other| std::array::from_fn(|at| one[at].max(other[at]))).unwrap()
    });
    for ((name, _), worst) in CAUSES.iter().zip(worst) {
        soak::at_most(&format!("{name}: it signs again, ms"), worst, SOON);
    }
}

/// Every cause, each world beginning with another one. The slowest recovery from each, in milliseconds.
fn life(number: usize) -> [u128; CAUSES.len()] {
    let mut world = World::new();
    let mut worst = [0; CAUSES.len()];
    for at in (number..).take(ROUNDS * CAUSES.len()).map(|at| at % CAUSES.len()) {
        let (name, cause) = CAUSES[at];
        let over = cause(&mut world);
        worst[at] = worst[at].max(world.recovers(over));
        assert_eq!(world.pins_wasted(), (0, 3), "{name}");
    }
    world.is_as_before(ROUNDS);
    worst
}
