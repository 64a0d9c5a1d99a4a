use std::future::Future;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::token::TokenInfo;

/// A token that has a state and does nothing.
struct Plugged(watch::Sender<TokenState>);

impl Plugged {
    fn seat(logged_in: bool) -> (Seat, watch::Sender<TokenState>) {
        let text = String::new;
        let info = TokenInfo {
            serial: text(),
            label: text(),
            manufacturer: text(),
            model: text(),
            firmware: text(),
        };
        let state = watch::Sender::new(TokenState::present(info, PinState::Ok, logged_in));
        (Seat::new("soft", Box::new(Self(state.clone()))), state)
    }
}

impl RootToken for Plugged {
    fn watch(&self) -> watch::Receiver<TokenState> {
        self.0.subscribe()
    }
    fn login<'a>(&'a self, _: &'a SecretBuf) -> Answer<'a, ()> {
        Box::pin(async { Err(TokenError::NotPresent) })
    }
    fn sign<'a>(&'a self, _: &'a KeyRef, _: Sha256Digest) -> Answer<'a, EcdsaSignature> {
        Box::pin(async { Err(TokenError::NotPresent) })
    }
    fn look(&self) -> Pin<Box<dyn Future<Output = TokenState> + Send + '_>> {
        Box::pin(async { self.0.borrow().clone() })
    }
    fn serial(&self) -> Option<String> {
        None
    }
    /// The key with the id 9 wants a touch.
    fn may_want_touch(&self, key: &KeyRef) -> bool {
        key.id == [9]
    }
    fn touch_wait<'a>(&'a self, key: &'a KeyRef) -> Answer<'a, Option<Duration>> {
        Box::pin(async { Ok(self.may_want_touch(key).then_some(Duration::from_secs(15))) })
    }
    fn works_for_nobody(&self) -> bool {
        self.0.borrow().tries_left == GIVEN_UP
    }
}

/// A token in this state uses a key for somebody who has gone.
const GIVEN_UP: Option<u32> = Some(77);

fn key(id: u8) -> KeyRef {
    let public = touchmark_tuf::PublicKey::from_p256_point(&[4; 65]);
    KeyRef { id: vec![id], public }
}

#[tokio::test]
async fn a_key_that_wants_a_touch_needs_somebody() {
    let (seat, _state) = Plugged::seat(true);
    let (plain, touch) = (key(1), key(9));
    assert!(seat.needs_nobody([&plain].into_iter()));
    assert!(!seat.needs_nobody([&plain, &touch].into_iter()));
}

#[tokio::test]
async fn a_token_that_still_waits_for_a_finger_for_somebody_who_has_gone_is_nobodys() {
    let (seat, state) = Plugged::seat(true);
    state.send_modify(|state| state.tries_left = GIVEN_UP);
    for refused in [behind(seat.take("sign root").await), behind(seat.join("sign root"))] {
        assert!(refused.contains("given up"), "{refused}");
    }
    state.send_modify(|state| state.tries_left = None);
    seat.take("sign root").await.unwrap();
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn behind<T>(taken: Result<T, SignError>) -> String {
    match taken {
        Err(SignError::TokenBusy { behind, .. }) => behind,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was free"),
    }
}

#[tokio::test]
async fn whoever_has_it_alone_keeps_everybody_out_and_is_named() {
    let (seat, _state) = Plugged::seat(true);
    let held = seat.take("sign root").await.unwrap();
    assert_eq!(seat.intent().as_deref(), Some("sign root"));
    assert_eq!(behind(seat.take("other").await), "sign root");
    assert_eq!(behind(seat.join("other")), "sign root");
    drop(held);
    assert_eq!(seat.intent(), None);
    seat.join("other").unwrap();
}

#[tokio::test]
async fn whoever_wants_it_alone_waits_for_those_who_share_it_and_lets_no_more_in() {
    let (seat, _state) = Plugged::seat(true);
    let (one, two) = (seat.join("one").unwrap(), seat.join("two").unwrap());
    {
        let mut given_up = std::pin::pin!(seat.take("given up"));
        assert!(poll(given_up.as_mut()).is_pending());
        assert_eq!(behind(seat.join("three")), "given up");
    }
    let mut alone = std::pin::pin!(seat.take("unlock"));
    assert!(poll(alone.as_mut()).is_pending());
    drop(one);
    assert!(poll(alone.as_mut()).is_pending());
    drop(two);
    let Poll::Ready(held) = poll(alone.as_mut()) else { panic!("it waits for nobody") };
    assert!(held.unwrap().is_alone());
}

#[tokio::test]
async fn a_login_lost_on_the_way_is_asked_for_by_one_request_alone() {
    let (seat, state) = Plugged::seat(true);
    assert!(seat.needs_nobody(std::iter::empty()));
    let (mut one, mut two) = (seat.join("one").unwrap(), seat.join("two").unwrap());
    one.alone_if_needed().unwrap();
    assert!(!one.is_alone(), "nobody is needed");

    state.send_modify(|state| state.logged_in = false);
    assert!(!seat.needs_nobody(std::iter::empty()));
    behind(one.alone_if_needed());
    drop(two);
    one.alone_if_needed().unwrap();
    assert!(one.is_alone());
    assert_eq!(seat.intent().as_deref(), Some("one"));
    assert_eq!(behind(seat.join("two")), "one");
    drop(one);
    two = seat.join("two").unwrap();
    two.alone_if_needed().unwrap();
    assert!(two.is_alone());

    state.send_modify(|state| state.presence = Presence::Absent);
    assert!(!seat.needs_nobody(std::iter::empty()));
}
