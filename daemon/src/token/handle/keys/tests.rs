use touchmark_tuf::PublicKey;

use super::Keys;
use crate::token::{KeyPolicy, KeyRef, PinPolicy, TouchPolicy};

fn key(id: u8) -> KeyRef {
    KeyRef { id: vec![id], public: PublicKey::from_p256_point(&[4; 65]) }
}

#[test]
fn only_a_key_that_is_sure_to_need_no_finger_is_not_asked_again() {
    for (pin, touch, sure) in [
        (PinPolicy::Once, TouchPolicy::Never, true),
        (PinPolicy::Always, TouchPolicy::Never, true),
        // Used without a login, so none tells that it may have changed.
        (PinPolicy::Never, TouchPolicy::Never, false),
        (PinPolicy::Once, TouchPolicy::Cached, false),
        (PinPolicy::Once, TouchPolicy::Always, false),
    ] {
        let keys = Keys::default();
        assert!(!keys.needs_no_finger(&key(1)), "nobody has told");
        keys.note_policy(&key(1), Some(KeyPolicy { pin, touch }));
        assert_eq!(keys.needs_no_finger(&key(1)), sure, "{pin:?} {touch:?}");
        assert!(!keys.needs_no_finger(&key(2)), "another key");
    }
}

#[test]
fn what_was_told_before_a_login_is_known_and_asked_again() {
    let (keys, policy) = (Keys::default(), KeyPolicy::PIN_ONCE);
    keys.note_policy(&key(1), Some(policy));
    keys.logged_in();
    assert_eq!((keys.policy(&key(1)), keys.needs_no_finger(&key(1))), (Some(policy), false));
    keys.note_policy(&key(1), Some(policy));
    assert!(keys.needs_no_finger(&key(1)));
    keys.note_policy(&key(1), None);
    assert_eq!((keys.policy(&key(1)), keys.needs_no_finger(&key(1))), (None, false));
}
