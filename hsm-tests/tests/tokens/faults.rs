//! Faults while the root key is to sign.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hsm_tests::soak;
use rustix::process::Signal;

use crate::world::{PinFrom, World, median, refusal, timed};

/// What is ordered of the module, and what is said then: reason, words of the message.
type Fault = (&'static str, &'static str, &'static str);

/// While the certificate is signed, which comes first, and while the root document is. A signature that failed or that
/// was wrong has not left the daemon.
const FAULTS: [Fault; 10] = [
    ("C_Sign always abort", "TOKEN_FAILED", "SIGABRT"),
    ("C_Sign always segv", "TOKEN_FAILED", "SIGSEGV"),
    ("C_Sign always exit", "TOKEN_FAILED", "exit status"),
    ("C_Sign always wrong", "TOKEN_FAILED", "wrong signature"),
    ("C_Sign 1 wrong", "TOKEN_FAILED", "wrong signature"),
    ("C_Sign always length 3f", "TOKEN_FAILED", "wrong signature"),
    ("C_Sign 1 after 30", "TOKEN_FAILED", "CKR_DEVICE_ERROR"),
    ("C_Sign always before 30", "TOKEN_FAILED", "CKR_DEVICE_ERROR"),
    ("C_Sign 2 before 32", "TOKEN_NOT_PRESENT", "not there"),
    ("C_SignInit always before 60", "TOKEN_FAILED", "not on the token"),
];

/// Both kinds of world, every fault, and a repository for each: what fails has the right name and the right next step,
/// and the same command succeeds at once when the fault is over, with version 1 of everything.
fn every_fault(pin: PinFrom) {
    let mut world = World::new(pin);
    let pid = world.daemon.process().pid();
    let (mut worst, mut late) = (0, 0);
    for (number, (order, reason, words)) in FAULTS.into_iter().enumerate() {
        // The short form has one half of them with each kind of PIN.
        if !soak::is_on() && number % 2 == usize::from(pin == PinFrom::Person) {
            continue;
        }
        let name = format!("fault-{number}");
        world.shim.forget();
        world.shim.order(order);
        let ran = world.init(&name).run().exits(4);
        let error = refusal(&ran);
        assert_eq!(error["reason"], reason, "{order}\n{ran}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("token") && message.contains("root") && message.contains(words),
            "{order}: {message}"
        );
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("touchmark")), "{order}: {error}");
        assert!(world.shim.count("C_Login") <= 1, "{order}: more logins than PINs");

        world.shim.order("");
        let since = Instant::now();
        world.until_token_is("present");
        worst = worst.max(since.elapsed().as_millis());
        world.init(&name).ok();
        late += usize::from(!order.contains("always"));
        let root = world.ledger(&name, "root");
        assert_eq!(root, ["1 released"], "{order}: no version is burnt by a signature that never left");
        world.sign(&name, 1).ok();
        assert_eq!(world.tags(&name), ["1"], "{order}");
    }
    soak::at_most("a fault is over and the token is there again, ms", worst, 2000);
    let voids = world.audit("outcome").iter().filter(|row| row.to_string().contains("\"void\"")).count();
    assert!(voids >= late, "what failed while a version was held is in the record: {voids} of {late}");
    world.touchmark(&["audit", "verify"]).ok();
    let (running, zombies) = world.children();
    assert!(running <= 1 && zombies == 0, "{running} helpers run, {zombies} are not waited for");
    assert_eq!(world.daemon.process().pid(), pid);
    assert!(world.daemon.process().is_running(), "the daemon itself never ends");
}

#[test]
fn a_failing_token_whose_pin_is_typed_loses_nothing_and_burns_no_version() {
    every_fault(PinFrom::Person);
}

#[test]
fn a_failing_token_whose_pin_is_configured_loses_nothing_and_burns_no_version() {
    every_fault(PinFrom::File("648219\n"));
}

#[test]
fn a_locked_or_wrong_pin_says_so_and_is_sent_once() {
    let world = World::new(PinFrom::Person);
    world.init("warm").ok();
    for (code, reason, tries_left) in [("a4", "PIN_LOCKED", Some(0)), ("a0", "WRONG_PIN", None)] {
        // The login is lost.
        world.shim.order("C_Sign always abort");
        drop(world.init("locked").run().exits(4));
        world.shim.order(&format!("C_Login always before {code}"));
        world.shim.forget();
        let ran = world.init("locked").run().exits(4);
        let error = refusal(&ran);
        assert_eq!((&error["reason"], error["tries_left"].as_u64()), (&reason.into(), tries_left), "{ran}");
        assert!(error["message"].as_str().unwrap().contains("root"), "{error}");
        assert_eq!(world.shim.count("C_Login"), 1, "{ran}");
    }
    world.shim.order("");
    world.init("locked").ok();
    assert_eq!(world.audit("pin-refused").len(), 1);
}

/// Ends the other client's work, also where the test has failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `during` while another client signs tags with a key of the vault, and says how long that took in the median.
fn signing_meanwhile(world: &World, from: usize, during: impl FnOnce()) -> (Duration, usize) {
    let over = AtomicBool::new(false);
    let all = std::thread::scope(|scope| {
        let signer = scope.spawn(|| {
            let mut all = Vec::new();
            while !over.load(Ordering::SeqCst) || all.len() < soak::rounds(5, 40) {
                all.push(timed(&world.sign("soft", from + all.len())));
            }
            all
        });
        let end = Ends(&over);
        during();
        drop(end);
        signer.join().unwrap()
    });
    let count = all.len();
    (median(all), count)
}

#[test]
fn a_hanging_token_is_one_request_that_ends_and_others_sign_on() {
    let mut world = World::new(PinFrom::Person);
    world.init("soft").ok();
    let (before, first) = signing_meanwhile(&world, 0, || ());
    world.shim.forget();
    world.shim.order("C_Sign always stuck");
    let mut took = Duration::ZERO;
    let (hung, more) = signing_meanwhile(&world, first, || {
        let since = Instant::now();
        let waiting = world.init("hung").spawn();
        while world.shim.count("C_Sign") == 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "it never reached the token");
            std::thread::sleep(Duration::from_millis(5));
        }
        // A second request for the token is told at once, and what has it.
        let busy = refusal(&world.init("busy").run().exits(4));
        assert_eq!(busy["reason"], "TOKEN_BUSY");
        assert!(busy["message"].as_str().unwrap().contains("hung"), "{busy}");
        let ran = waiting.wait().exits(4);
        took = since.elapsed();
        let error = refusal(&ran);
        assert_eq!(error["reason"], "TOUCH_TIMEOUT", "{ran}");
        assert!(error["message"].as_str().unwrap().contains("root"), "{error}");
    });
    soak::say(&format!("a hang is answered after {} ms", took.as_millis()));
    world.shim.order("");
    let since = Instant::now();
    world.until_token_is("present");
    soak::at_most("a hang is over and the token is there again, ms", since.elapsed().as_millis(), 2000);
    // The repository grows with each tag: the calm before it and the calm after it are as far away.
    let (after, last) = signing_meanwhile(&world, first + more, || ());
    let calm = (before + after) / 2;
    soak::say(&format!(
        "`touchmark sign` by the vault: median {} ms before, {} ms while a token hangs ({more} times), {} ms after",
        before.as_millis(),
        hung.as_millis(),
        after.as_millis()
    ));
    soak::at_most(
        "the vault's signatures while a token hangs, in 1/100 of their time",
        hung.as_millis() * 100 / calm.as_millis().max(1),
        150,
    );
    world.init("hung").ok();
    assert_eq!(world.tags("soft").len(), first + more + last, "every tag that was signed is there");
    let (running, zombies) = world.children();
    assert!(running <= 1 && zombies == 0, "{running} helpers run, {zombies} are not waited for");
}

#[test]
fn a_signature_that_comes_too_late_is_destroyed_and_recorded() {
    let world = World::new(PinFrom::Person);
    world.init("warm").ok();
    // On a busy machine the deadline may be quicker than the person who gives up.
    let late = (0..5).map(|number| format!("late-{number}")).find(|name| comes_too_late(&world, name));
    let late = late.expect("a signature that nobody waits for is in the record");
    assert_eq!(world.ledger(&late, "root"), ["1 void"]);
    world.init(&late).ok();
    assert_eq!(world.ledger(&late, "root"), ["1 released"]);
    world.touchmark(&["audit", "verify"]).ok();
}

/// Whether a signature that is withdrawn while the token hangs is recorded when the token goes on.
fn comes_too_late(world: &World, name: &str) -> bool {
    world.shim.forget();
    // The certificate's two calls pass, the root document's hang.
    world.shim.order("C_Sign 2 hang");
    let waiting = world.init(name).spawn();
    let since = Instant::now();
    while world.shim.count("C_Sign") < 3 {
        assert!(since.elapsed() < Duration::from_secs(30), "it never reached the token");
        std::thread::sleep(Duration::from_millis(5));
    }
    waiting.signal(Signal::INT);
    drop(waiting.wait().exits(130));
    world.shim.order("");
    let since = Instant::now();
    while world.audit("orphaned").is_empty() {
        if since.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn a_command_waits_for_a_token_that_is_gone_and_goes_on_when_it_is_back() {
    let world = World::new(PinFrom::File("648219\n"));
    world.hsm.exchange();
    world.until_token_is("absent");
    let mut waiting = world.init("gone").spawn();
    waiting.wait_for_stderr("needs-token");
    world.hsm.exchange();
    drop(waiting.wait().exits(0));

    // Another token of that label: it is named, and gets no PIN.
    world.hsm.exchange();
    world.hsm.add_token(crate::world::LABEL);
    world.until_token_is("mismatch");
    world.shim.forget();
    drop(world.init("swapped").run().exits(4).says("TOKEN_MISMATCH"));
    assert_eq!(world.shim.count("C_Login"), 0);
    world.hsm.exchange();
    let since = Instant::now();
    world.until_token_is("present");
    soak::at_most("the right token is back and seen, ms", since.elapsed().as_millis(), 2000);
    world.init("swapped").ok();
}
