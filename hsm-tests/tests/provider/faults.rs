//! Faults that real tokens cannot be told to show: hanging, crashing, lying. The token is in software, the helper
//! process and everything around it are the real ones.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hsm_tests::place::Place;
use touchmark_tuf::{EcdsaSignature, Sha256Digest, verify_p256};
use touchmarkd::token::fake::{ORDERS, PIN, public_key};
use touchmarkd::token::{
    HelperProgram, KeyRef, Limits, OnOrphan, Orphan, Presence, TokenConfig, TokenError, TokenHandle,
    TokenKind,
};
use touchmarkd::vault::Locked;

use crate::bench::{locked, secret, until};

const PATIENCE: Duration = Duration::from_secs(30);

struct Fake {
    place: Place,
    locked: Arc<Locked>,
    token: TokenHandle,
    orphans: Arc<Mutex<Vec<Orphan>>>,
}

impl Fake {
    async fn logged_in() -> Self {
        Self::with(Limits { call: Duration::from_millis(500), ..Limits::default() }).await
    }

    async fn with(limits: Limits) -> Self {
        let (place, locked) = (Place::new(), locked());
        let orders = place.join("orders");
        let env = [(ORDERS.to_owned(), orders.display().to_string())].into();
        let kind =
            TokenKind::Pkcs11 { module: PathBuf::from("fake"), label: "fake".to_owned(), serial: None };
        let config = TokenConfig { name: "fake".to_owned(), kind, env };
        let program = PathBuf::from(env!("CARGO_BIN_EXE_fake-token-helper"));
        let helper = HelperProgram { program, arguments: Vec::new() };
        let orphans = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&orphans);
        let on_orphan: OnOrphan = Arc::new(move |orphan: &Orphan| seen.lock().unwrap().push(orphan.clone()));
        let token = TokenHandle::start_watched(config, Arc::clone(&locked), helper, limits, on_orphan);
        let fake = Self { place, locked, token, orphans };
        fake.login().await;
        fake
    }

    async fn login(&self) {
        self.token.login(&secret(&self.locked, PIN)).await.expect("the right PIN");
    }

    fn order(&self, orders: &str) {
        std::fs::write(self.place.join("orders"), orders).unwrap();
    }

    /// How often the token was asked for this.
    fn count(&self, call: &str) -> usize {
        let log = std::fs::read_to_string(self.place.join("orders.log")).unwrap();
        log.lines().filter(|line| *line == call).count()
    }

    async fn sign(&self) -> Result<EcdsaSignature, TokenError> {
        self.token.sign(&key(), Sha256Digest::of(b"x")).await
    }
}

fn key() -> KeyRef {
    KeyRef { id: vec![1], public: public_key().unwrap() }
}

fn verifies(signature: &EcdsaSignature) -> bool {
    verify_p256(&key().public.p256_point().unwrap(), b"x", signature)
}

#[tokio::test]
async fn a_hanging_token_is_killed_at_the_deadline_and_started_again() {
    let fake = Fake::logged_in().await;
    let hung = fake.token.helper_pid().unwrap();
    fake.order("sign hang");

    let started = Instant::now();
    assert_eq!(fake.sign().await.unwrap_err(), TokenError::Timeout);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!std::fs::exists(format!("/proc/{hung}")).unwrap(), "its helper is gone");

    fake.order("");
    until(&fake.token, PATIENCE, |state| state.presence == Presence::Present).await;
    assert_eq!(fake.sign().await.unwrap_err(), TokenError::NotLoggedIn);
    fake.login().await;
    assert!(verifies(&fake.sign().await.unwrap()));
}

#[tokio::test]
async fn a_hanging_token_holds_up_no_other() {
    let (hanging, other) = (Fake::with(Limits::default()).await, Fake::logged_in().await);
    hanging.order("sign hang");
    let waiting = hanging.sign();
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());

    for _ in 0..10 {
        assert!(verifies(&other.sign().await.unwrap()));
    }
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut waiting).await.is_err(), "it still hangs");
}

#[tokio::test]
async fn a_crash_is_an_answer_and_the_next_helper_serves() {
    let fake = Fake::logged_in().await;
    fake.order("sign abort");

    let crashed = fake.sign().await.unwrap_err();

    assert!(matches!(&crashed, TokenError::HelperEnded { how } if how.contains("SIGABRT")), "{crashed:?}");
    fake.order("");
    until(&fake.token, PATIENCE, |state| state.presence == Presence::Present).await;
    fake.login().await;
    assert!(verifies(&fake.sign().await.unwrap()));
}

#[tokio::test]
async fn a_panic_in_the_helper_is_an_answer() {
    let fake = Fake::logged_in().await;
    fake.order("sign panic");
    assert!(matches!(fake.sign().await, Err(TokenError::HelperEnded { .. })));
    fake.order("");
    until(&fake.token, PATIENCE, |state| state.presence == Presence::Present).await;
    fake.token.keys().await.unwrap();
}

#[tokio::test]
async fn helpers_that_keep_crashing_are_started_less_and_less() {
    let fake = Fake::with(Limits { probe: Duration::from_millis(20), ..Limits::default() }).await;
    let before = fake.count("open");
    fake.order("open abort\nsign abort");
    drop(fake.sign().await.unwrap_err());

    // 50 + 100 + 200 + 400 ms of pauses: without them a look every 20 ms would make it fifty.
    tokio::time::sleep(Duration::from_secs(1)).await;

    assert!(fake.count("open") - before < 10, "{}", fake.count("open") - before);
    let failed = fake.token.state().presence;
    assert!(matches!(failed, Presence::Failed(_)), "{failed:?}");
    assert!(
        matches!(fake.sign().await, Err(TokenError::HelperEnded { .. })),
        "answered at once, with the reason"
    );
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let fake = Fake::with(Limits { queue: 2, ..Limits::default() }).await;
    fake.order("sign delay 500");
    let all = futures(&fake, 8).await;
    let (done, busy): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert!(busy.iter().all(|refused| *refused == Err(TokenError::Busy)), "{busy:?}");
    // One with the token and two waiting, at the least; those that came while a place was free, too.
    assert!((2..=4).contains(&done.len()), "{} done", done.len());
    assert_eq!(fake.count("sign"), done.len());
}

#[tokio::test]
async fn whoever_waits_too_long_is_never_started() {
    let fake = Fake::with(Limits { wait: Duration::from_millis(100), ..Limits::default() }).await;
    fake.order("sign delay 400");
    let all = futures(&fake, 2).await;
    assert!(all[0].is_ok());
    assert_eq!(all[1], Err(TokenError::Busy));
    assert_eq!(fake.count("sign"), 1);
}

#[tokio::test]
async fn a_signature_that_nobody_waits_for_is_reported() {
    let fake = Fake::logged_in().await;
    fake.order("sign delay 200");
    assert!(tokio::time::timeout(Duration::from_millis(100), fake.sign()).await.is_err());

    // Jobs are done one after the other, so when this is answered the other is over.
    fake.token.keys().await.unwrap();

    let orphan = Orphan { token: "fake".to_owned(), what: "signature", key: Some(key().public.id()) };
    assert_eq!(*fake.orphans.lock().unwrap(), [orphan]);
}

#[tokio::test]
async fn whoever_leaves_before_his_turn_is_never_started() {
    let fake = Fake::logged_in().await;
    fake.order("keys delay 200");
    let keys = fake.token.clone();
    let first = tokio::spawn(async move { keys.keys().await });
    until_asked(&fake, "keys").await;
    assert!(tokio::time::timeout(Duration::from_millis(20), fake.sign()).await.is_err());
    first.await.unwrap().unwrap();
    fake.token.keys().await.unwrap();
    assert_eq!(fake.count("sign"), 0);
    assert!(fake.orphans.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_signature_is_handed_on_for_the_caller_to_see() {
    let fake = Fake::logged_in().await;
    fake.order("sign wrong");
    assert!(!verifies(&fake.sign().await.unwrap()));
}

#[tokio::test]
async fn a_wrong_pin_is_presented_once_whatever_comes_after() {
    let fake = Fake::logged_in().await;
    let before = fake.count("login");
    let refused = fake.token.login(&secret(&fake.locked, b"000000")).await;
    assert_eq!(refused.unwrap_err(), TokenError::WrongPin { tries_left: Some(2) });
    for _ in 0..5 {
        assert_eq!(fake.sign().await.unwrap_err(), TokenError::NotLoggedIn);
        fake.token.refresh().await;
    }
    assert_eq!(fake.count("login") - before, 1);
}

#[tokio::test]
async fn the_longest_pin_arrives_whole() {
    let fake = Fake::logged_in().await;
    let long = [b'9'; 255];
    let refused = fake.token.login(&secret(&fake.locked, &long)).await;
    assert_eq!(refused.unwrap_err(), TokenError::WrongPin { tries_left: Some(2) });
}

#[tokio::test]
async fn a_secret_that_cannot_be_a_pin_reaches_no_token() {
    let fake = Fake::logged_in().await;
    let before = fake.count("login");
    for unfit in [[].as_slice(), &[b'9'; 256]] {
        let refused = fake.token.login(&secret(&fake.locked, unfit)).await;
        assert!(matches!(refused, Err(TokenError::PinUnfit { .. })), "{refused:?}");
    }
    assert_eq!(fake.count("login"), before);
    assert!(fake.token.state().logged_in);
}

#[tokio::test]
async fn a_helper_inherits_only_what_modules_may_want() {
    let fake = Fake::logged_in().await;
    let environment = std::fs::read(format!("/proc/{}/environ", fake.token.helper_pid().unwrap())).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let allowed = [ORDERS, "HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "XDG_CONFIG_HOME"];
    for variable in environment.split_terminator('\0') {
        assert!(allowed.contains(&variable.split_once('=').unwrap().0), "{variable}");
    }
    assert!(environment.contains(ORDERS));
}

#[tokio::test]
async fn a_logout_wakes_no_helper() {
    let fake = Fake::logged_in().await;
    fake.token.stop_helper().await;
    fake.token.logout().await.unwrap();
    assert_eq!(fake.token.helper_pid(), None);
}

#[tokio::test]
async fn errors_of_the_token_arrive_as_they_are() {
    let fake = Fake::logged_in().await;
    for (order, error) in [
        (r#""pin-locked""#, TokenError::PinLocked),
        (r#""key-not-found""#, TokenError::KeyNotFound),
        (r#"{"not-supported":{"what":"sign"}}"#, TokenError::NotSupported { what: "sign".to_owned() }),
    ] {
        fake.order(&format!("sign error {order}"));
        assert_eq!(fake.sign().await.unwrap_err(), error);
    }
    assert!(fake.token.state().logged_in, "none of these is the end of a login");
}

/// Waits until the token has been asked for this.
async fn until_asked(fake: &Fake, call: &str) {
    let deadline = Instant::now() + PATIENCE;
    while fake.count(call) == 0 {
        assert!(Instant::now() < deadline, "{call} never reached the token");
        tokio::task::yield_now().await;
    }
}

/// So many signatures at once.
async fn futures(fake: &Fake, count: usize) -> Vec<Result<EcdsaSignature, TokenError>> {
    let start = || {
        let token = fake.token.clone();
        tokio::spawn(async move { token.sign(&key(), Sha256Digest::of(b"x")).await })
    };
    let tasks: Vec<_> = std::iter::repeat_with(start).take(count).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
