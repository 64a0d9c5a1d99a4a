//! One suite for every kind of token: the real helper process, real modules, foreign judges. Faults that real tokens
//! cannot show come from a token in software.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

/// The suite for one kind of token. Attributes (`#[ignore = "..."]`) go to every test. What not every kind can be made
/// to show is added one by one, as `passes!(@one KIND, (), TEST)`.
macro_rules! passes {
    ($rig:ty $(, $attribute:meta)?) => {
        passes!(@ $rig, ($($attribute)?):
            a_new_token_signs_and_foreign_judges_agree,
            two_keys_are_not_mixed_up,
            a_hundred_signatures_in_one_session,
            a_wrong_pin_is_sent_once_and_ends_the_login,
            a_token_of_another_name_is_absent,
            another_token_under_the_same_label_is_a_mismatch,
            the_vault_key_opens_what_was_sealed_to_it,
            a_box_for_another_key_is_refused_and_harms_nothing,
            a_killed_helper_is_replaced,
            a_stopped_helper_starts_again_without_a_login,
            a_token_is_never_initialised_twice,
            a_deleted_key_is_gone,
            an_imported_key_is_the_same_key,
        );
    };
    (@ $rig:ty, $attribute:tt: $($test:ident,)*) => {
        $(passes!(@one $rig, $attribute, $test);)*
    };
    (@one $rig:ty, ($($attribute:meta)?), $test:ident) => {
        #[tokio::test]
        $(#[$attribute])?
        async fn $test() {
            crate::suite::$test::<$rig>().await;
        }
    };
}

mod bench;
mod card;
mod codes;
mod faults;
mod helper;
mod judge;
mod kryoptic;
mod matrix;
mod misbehaves;
mod returned;
mod shimmed;
mod softhsm;
mod suite;
mod swapped;
mod swtpm;
mod yubikey;
