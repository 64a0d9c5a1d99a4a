//! A root that has ended: nobody believes it any more, and its keys can still replace it.

use std::time::Duration;

use hsm_tests::cli::Cli;
use hsm_tests::faketime::FakeClock;
use hsm_tests::signing::now;
use touchmark_tuf::Expires;

use super::begun::begin;
use super::readers::everybody;
use super::world::{World, reason};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn a_root_that_has_expired_is_renewed_by_its_own_keys() {
    let world = World::new();
    let repository = world.repository("late", &[&world.keys[0]]);
    begin(&world, &repository, &world.keys[0], Expires::at(now().plus(3 * DAY)));
    world.touchmark(&["publish", &repository.name]).ok().says("root");
    let clock = FakeClock::new();
    clock.ahead_by(5);
    let later = |cli: Cli| clock.variables().iter().fold(cli, |cli, (name, value)| cli.env(name, value));
    let image = repository.image();
    let expired = later(world.touchmark(&["verify", &image])).run().exits(1);
    assert_eq!(reason(&expired), "EXPIRED");
    // Whoever has a cache of it, and whoever has none.
    later(world.rotate("root", &repository.name, &["--renew"])).ok();
    assert_eq!(world.shape(&repository), (3, 1, 1));
    later(world.touchmark(&["verify", &image])).ok();
    everybody(&world, None, &[], &repository);
}
