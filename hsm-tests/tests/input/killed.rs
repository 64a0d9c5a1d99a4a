//! A client that is killed (SIGKILL) between two steps: the next command goes on from there.

use std::sync::atomic::{AtomicBool, Ordering};

use hsm_tests::front::Way;
use hsm_tests::images::Image;
use rustix::process::Signal;

use crate::world::World;

/// Where the client is killed: when this request has got so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The server is asked for what it has: nothing is signed yet.
    Reading,
    /// What was signed is about to be sent.
    Sending,
    /// It was sent, and the answer is not there yet.
    Sent,
    /// It is read back.
    ReadingBack,
}

const ALL: [At; 4] = [At::Reading, At::Sending, At::Sent, At::ReadingBack];

/// Runs the command until that moment and kills it.
fn kill(world: &World, args: &[&str], at: At) {
    let was_sent = AtomicBool::new(false);
    world.front.rule(move |request| {
        let is_post = request.starts_with("POST");
        let later = was_sent.fetch_or(is_post, Ordering::SeqCst);
        match at {
            At::Reading if !is_post => Way::Silence,
            At::Sending if is_post => Way::Silence,
            At::Sent if is_post => Way::Swallow,
            At::ReadingBack if later => Way::Swallow,
            _ => Way::Pass,
        }
    });
    let running = world.touchmark(args).spawn();
    match at {
        At::Reading => world.front.wait_for("GET", ".json"),
        At::Sending | At::Sent => world.front.wait_for("POST", "/"),
        At::ReadingBack => {
            world.front.wait_for("POST", "/");
            // The last of the requests that got anywhere; the answer to the client's next one never comes.
            while world.front.count("GET") < 2 {
                std::thread::yield_now();
            }
        }
    }
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code(), None, "it was killed");
    world.front.pass();
}

/// How many versions the daemon has given out.
fn versions(world: &World, repository: &str) -> usize {
    let ledger = world.touchmark(&["--format", "json", "ledger", "show", repository]).ok().json();
    ledger["entries"].as_array().unwrap().len()
}

#[test]
fn publish_goes_on_where_a_killed_client_stopped() {
    let (world, app) = World::with("app");
    let mut wanted = vec!["1".to_owned()];
    for (number, at) in ALL.into_iter().enumerate() {
        let tag = format!("k{number}");
        world.push("app", &tag);
        let before = versions(&world, &app);
        kill(&world, &["sign", &format!("{app}:{tag}")], at);
        let said = world.touchmark(&["publish", &app]).ok().stdout;
        let is_signed = at != At::Reading;
        assert_eq!(
            versions(&world, &app),
            before + usize::from(is_signed),
            "{at:?}: nothing is signed twice"
        );
        let was_waiting = at == At::Sending;
        assert_eq!(said.starts_with("Published targets"), was_waiting, "{at:?}: {said}");
        if is_signed {
            wanted.push(tag);
        }
        assert_eq!(world.tags(&app), wanted, "{at:?}");
        world.touchmark(&["publish", &app]).ok().says("Nothing to publish");
    }
    world.touchmark(&["audit", "verify"]).ok().says("unbroken");
}

#[test]
fn push_goes_on_where_a_killed_client_stopped() {
    let (world, app) = World::with("app");
    let mut wanted = vec!["1".to_owned()];
    for (number, at) in ALL.into_iter().enumerate() {
        let tag = format!("k{number}");
        let image = Image::saying(&tag);
        let layout = format!("oci:{tag}");
        image.lay_out(&world.home.path().join(&tag), "x");
        let (before, name) = (versions(&world, &app), format!("{app}:{tag}"));
        let push = ["push", &name, "--from", &layout];
        kill(&world, &push, at);
        world.touchmark(&push).ok();
        assert_eq!(versions(&world, &app), before + 1, "{at:?}: nothing is signed twice");
        wanted.push(tag);
        assert_eq!(world.tags(&app), wanted, "{at:?}");
        let verified = world.touchmark(&["verify", &name]).ok().stdout;
        assert_eq!(verified.trim_end(), format!("{app}@{}", image.pushed().digest));
    }
}

#[test]
fn a_repository_whose_first_publication_was_cut_off_is_finished_by_the_next_command() {
    let world = World::new();
    for (number, at) in ALL.into_iter().enumerate() {
        for next in ["init", "publish", "sign"] {
            let name = format!("new{number}-{next}");
            let repository = world.repository(&name);
            world.push(&name, "1");
            kill(&world, &["init", &repository], at);
            let tag = format!("{repository}:1");
            match (next, at) {
                // It is there already, and says so.
                ("init", At::Sent | At::ReadingBack) => {
                    drop(world.touchmark(&["init", &repository]).run().exits(2))
                }
                // Nothing was made yet.
                ("publish" | "sign", At::Reading) => {
                    drop(world.touchmark(&["publish", &repository]).run().exits(1).says("touchmark init"));
                    world.touchmark(&["init", &repository]).ok();
                }
                ("init" | "publish", _) => drop(world.touchmark(&[next, &repository]).ok()),
                _ => {}
            }
            world.touchmark(&["sign", &tag]).ok();
            assert_eq!(world.tags(&repository), ["1"], "{at:?}, then {next}");
        }
    }
}
