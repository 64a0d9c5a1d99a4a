//! What may happen to a card. Each ends when it is over, and says when that was.

use std::time::Instant;

use hsm_tests::pcscd::Hold;
use hsm_tests::piv::{Firmware, PivCard, Touch};
use rustix::process::{Pid, Signal, kill_process};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1::TokenPresence;

use crate::world::{OTHER, World};

/// SELECT.
const SELECT: u8 = 0xa4;

/// What it is called, and what it does.
pub(crate) type Cause = (&'static str, fn(&mut World) -> Instant);

pub(crate) const CAUSES: [Cause; 8] = [
    ("pulled out and put back", pulled),
    ("another card in its reader", exchanged),
    ("pcscd killed", killed),
    ("reset by another program", reset),
    ("held exclusively", held),
    ("held in a transaction", kept),
    ("suspended", suspended),
    ("a touch that never came", untouched),
];

/// Who asked for a signature meanwhile waits, and gets it.
fn pulled(world: &mut World) -> Instant {
    world.pcscd.reader().pull_out();
    world.until(|token| token.presence() == TokenPresence::Absent);
    let waiting = world.ask();
    world.vault_signs();
    assert!(!waiting.is_finished());
    world.pcscd.reader().put_back();
    let over = Instant::now();
    world.answered(waiting).unwrap();
    over
}

/// It is named as what it is, opened once and sent nothing.
fn exchanged(world: &mut World) -> Instant {
    let ours = world.pcscd.reader().exchange(PivCard::new(Firmware::V5_7, OTHER).owned());
    let other = world.card();
    world.until(|token| token.presence() == TokenPresence::Mismatch);
    assert_eq!(world.root().unwrap_err().reason(), Some(Reason::TokenMismatch));
    world.vault_signs();
    assert_eq!((other.pins_sent(), other.count(SELECT)), (0, 1));
    drop(world.pcscd.reader().exchange(ours));
    Instant::now()
}

fn killed(world: &mut World) -> Instant {
    world.pcscd.kill();
    world.until(|token| token.detail.contains("systemctl enable --now pcscd.socket"));
    let waiting = world.ask();
    world.vault_signs();
    assert!(!waiting.is_finished());
    world.pcscd.start_again();
    let over = Instant::now();
    world.answered(waiting).unwrap();
    over
}

/// Nobody has noticed when the next signature is wanted.
fn reset(world: &mut World) -> Instant {
    world.resets_the_card();
    let over = Instant::now();
    world.root().unwrap();
    over
}

/// Whoever wants a card for himself gets it when nobody else is connected: after a reset the daemon lets go of it.
fn held(world: &mut World) -> Instant {
    world.resets_the_card();
    world.until(|token| !token.logged_in);
    let holder = world.hold(Hold::Exclusively);
    let refused = world.root().unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::TokenFailed));
    assert!(format!("{refused:?}").contains("another program has the card for itself alone"), "{refused:?}");
    world.vault_signs();
    drop(holder);
    Instant::now()
}

/// Those who wait behind it are all answered.
fn kept(world: &mut World) -> Instant {
    let holder = world.hold(Hold::InATransaction);
    let waiting = [(); 3].map(|()| world.ask());
    world.vault_signs();
    assert!(waiting.iter().all(|request| !request.is_finished()));
    drop(holder);
    let over = Instant::now();
    for request in waiting {
        world.answered(request).unwrap();
    }
    over
}

/// Everybody stops; when they go on, the card knows nothing of them.
fn suspended(world: &mut World) -> Instant {
    let everybody = [world.helpers(), vec![world.daemon.process().pid(), world.pcscd.pid()]].concat();
    assert_eq!(everybody.len(), 3);
    let all = |signal| everybody.iter().for_each(|pid| tell(*pid, signal));
    all(Signal::STOP);
    world.pcscd.reader().lose_power();
    all(Signal::CONT);
    let over = Instant::now();
    world.vault_signs();
    world.root().unwrap();
    over
}

fn tell(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// It is said and written down; the next touch counts.
fn untouched(world: &mut World) -> Instant {
    world.card().fingers(Touch::Nobody);
    assert_eq!(world.root_by_touch().unwrap_err().reason(), Some(Reason::TouchTimeout));
    world.vault_signs();
    world.card().fingers(Touch::AtOnce);
    let over = Instant::now();
    world.root_by_touch().unwrap();
    over
}
