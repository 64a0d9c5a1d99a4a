//! Raw HTTP/2 abuse on the socket: whoever means well is served meanwhile, and nothing of it stays.
//!
//! Attackers are threads that act as other users, so these tests want root. What is promised in milliseconds and
//! mebibytes is printed, and demanded by `make soak`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "abuse/connections.rs"]
mod connections;
#[path = "abuse/frames.rs"]
mod frames;
#[path = "abuse/honest.rs"]
mod honest;
#[path = "abuse/requests.rs"]
mod requests;
#[path = "abuse/stage.rs"]
mod stage;
#[path = "abuse/standstill.rs"]
mod standstill;
#[path = "abuse/usage.rs"]
mod usage;

use std::time::{Duration, Instant};

use hsm_tests::soak;

use stage::{ALLOWED, OWNER, STRANGER, Stage, User};

/// Somebody who may be here, and somebody who may not.
const BOTH: [User; 2] = [ALLOWED, STRANGER];

#[test]
fn frames_that_no_client_sends_keep_nobody_waiting() {
    let mut stage = Stage::set();
    stage.under("rapid reset", &BOTH, frames::rapid_reset);
    stage.under("made you reset", &BOTH, frames::made_you_reset);
    stage.under("endless headers", &BOTH, frames::endless_headers);
    stage.under("empty frames", &BOTH, frames::empty_frames);
    stage.under("answers never read", &BOTH, frames::answers_never_read);
    stage.under("large headers", &BOTH, frames::large_headers);
    stage.under("broken headers", &BOTH, frames::broken_headers);
    stage.under("large messages", &BOTH, frames::large_messages);
    stage.holds();
}

#[test]
fn requests_that_never_end_and_answers_never_read_keep_nobody_waiting() {
    let mut stage = Stage::set();
    stage.under("never ended", &BOTH, requests::never_ended);
    stage.under("one byte short", &BOTH, requests::one_byte_short);
    stage.under("questions behind answers", &BOTH, requests::questions_behind_answers);
    stage.under("byte by byte", &BOTH, requests::byte_by_byte);
    stage.under_with("announced", &BOTH, requests::announced, |why| why.contains("Overloaded"));
    stage.under("prompts", &BOTH, requests::prompts);
    stage.under("watchers who do not look", &BOTH, requests::watchers_who_do_not_look);
    stage.under("watchers", &BOTH, requests::watchers);
    stage.under("audits never read", &BOTH, requests::audits_never_read);
    stage.under("answers in the pipe", &BOTH, requests::answers_in_the_pipe);
    stage.under("answers never taken", &BOTH, requests::answers_never_taken);
    stage.under("calls", &BOTH, requests::calls);
    stage.under("bad documents", &BOTH, requests::bad_documents);
    stage.holds();
}

#[test]
fn bytes_announced_and_not_sent_are_their_own_users_trouble_alone() {
    let stage = Stage::set();
    let (allowed, owner) = (stage.honest(ALLOWED), stage.honest(OWNER));
    let mut greedy = stage.as_user(ALLOWED, requests::quiet);
    let (mut streams, mut told) = (frames::streams(), String::new());
    stage::until(Duration::from_secs(5), || {
        // Two fill the budget; one that comes while the honest client has its part of it is refused.
        streams.by_ref().take(2).for_each(|stream| requests::announce(&mut greedy, stream));
        told = allowed.sign_once().err().unwrap_or_default();
        !told.is_empty()
    });
    assert!(told.contains("Overloaded") && told.contains("of this user"), "{told}");
    owner.sign_once().expect("the other user signs on");
    if soak::is_on() {
        // The announcements are forgotten when nothing came for ten seconds, though the connection stands.
        stage::until(Duration::from_secs(15), || allowed.sign_once().is_ok());
    }
    drop(greedy);
    stage::until(Duration::from_secs(5), || allowed.sign_once().is_ok());
}

/// Half a minute and a whole one, so in the long form only; the register's own tests have it in a moment.
#[test]
fn whoever_takes_no_answer_or_asks_nothing_is_closed_in_the_end() {
    if !soak::is_on() {
        return;
    }
    let stage = Stage::set();
    let closed = stage.as_user(ALLOWED, |scene| {
        let waiting = [frames::unread(scene), frames::open(scene, &[])].map(Result::unwrap);
        let began = Instant::now();
        waiting.map(|mut raw| {
            std::thread::spawn(move || frames::answer_pings(&mut raw).map(|()| began.elapsed()))
        })
    });
    let [unread, idle] = closed.map(|closed| closed.join().unwrap().unwrap().as_secs());
    assert!((30..=36).contains(&unread), "an answer that nobody takes: closed after {unread} s");
    assert!((60..=66).contains(&idle), "nothing asked: closed after {idle} s");
}

#[test]
fn connections_by_the_thousand_keep_nobody_waiting() {
    let mut stage = Stage::set();
    stage.under("silent", &BOTH, connections::silent);
    stage.under("part of a preface", &BOTH, connections::part_of_a_preface);
    stage.under("asking nothing", &BOTH, connections::asking_nothing);
    stage.under("storm", &BOTH, connections::storm);
    stage.under("half closed", &BOTH, connections::half_closed);
    stage.under("unknown handles", &BOTH, connections::unknown_handles);
    stage.under("descriptors", &BOTH, connections::descriptors);
    stage.under("pingers", &BOTH, connections::pingers);
    let strangers: Vec<_> = (0..40).map(User::stranger).collect();
    stage.under("silent strangers", &strangers, connections::silent_few);
    let more = stage.limit_descriptors(40);
    stage.under("few descriptors", &BOTH, connections::silent);
    stage.limit_descriptors(more);
    stage.holds();
}
