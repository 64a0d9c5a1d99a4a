use super::*;

fn token(name: &str, presence: v1::TokenPresence, pin_state: &str) -> v1::Token {
    v1::Token {
        name: name.into(),
        presence: presence.into(),
        pin_state: pin_state.into(),
        ..v1::Token::default()
    }
}

fn status(tokens: Vec<v1::Token>, state: v1::VaultState, keys: u32) -> v1::StatusResponse {
    let vault = v1::VaultStatus { state: state.into(), keys, ..v1::VaultStatus::default() };
    v1::StatusResponse { tokens, vault: Some(vault), ..v1::StatusResponse::default() }
}

#[test]
fn the_next_step_leads_from_nothing_to_the_first_signature() {
    use v1::TokenPresence::{Absent, Present};
    use v1::VaultState::{Locked, None as NoVault, Open};
    let next = |status: v1::StatusResponse| next_step(&status).unwrap_or_default();

    assert!(next(status(vec![], NoVault, 0)).starts_with("touchmark vault init --passphrase"));
    assert!(next(status(vec![token("root", Absent, "")], NoVault, 0)).starts_with("touchmark doctor"));
    assert_eq!(
        next(status(vec![token("root", Present, "not-set")], NoVault, 0)),
        "touchmark token init root"
    );
    let ready = token("root", Present, "ok");
    assert_eq!(next(status(vec![ready.clone()], NoVault, 0)), "touchmark vault init --token root");
    assert_eq!(next(status(vec![ready.clone()], Locked, 0)), "touchmark unlock");
    assert_eq!(next(status(vec![ready.clone()], Open, 0)), "touchmark key create root --token root");
    let mut with_root = ready;
    with_root.keys.push(v1::Key { role: v1::Role::Root.into(), ..v1::Key::default() });
    assert_eq!(next(status(vec![with_root.clone()], Open, 0)), "touchmark init IMAGE");
    assert_eq!(next_step(&status(vec![with_root], Open, 1)), None);
}

#[test]
fn dev_state_is_said() {
    let mut status = status(vec![], v1::VaultState::Open, 0);
    assert!(!in_words(&status).contains("--dev"));
    status.dev = true;
    assert!(in_words(&status).contains("made by --dev"));
    assert_eq!(to_json(&status)["dev"], true);
}

#[test]
fn a_control_character_from_the_daemon_stays_off_the_terminal() {
    let mut status =
        status(vec![token("a\u{1b}[2J", v1::TokenPresence::Absent, "")], v1::VaultState::None, 0);
    status.warnings.push("\u{202e}".into());
    assert!(in_words(&status).chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
}

#[test]
fn a_token_that_waits_for_a_touch_shows_what_the_touch_is_for() {
    let mut held = token("5c", v1::TokenPresence::Present, "ok");
    held.waiting_for = "sign root v3 of r.example.com/\u{1b}app (adds key 12)".into();
    let shown = |token: &v1::Token| in_words(&status(vec![token.clone()], v1::VaultState::Open, 1));
    assert!(
        shown(&held).contains("\n    in use to sign root v3 of r.example.com/\\u{1b}app (adds key 12)\n")
    );
    held.touch_deadline_unix_ms = 1_700_000_000_000;
    assert!(shown(&held).contains("\n    touch it to sign root v3 of "), "{}", shown(&held));
}

#[test]
fn a_grant_that_another_one_covers_is_not_shown() {
    let grant = |actions: &[&str], repositories: &[&str], tags: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        v1::Grant { actions: texts(actions), repositories: texts(repositories), tags: texts(tags) }
    };
    let shown = |grants: Vec<v1::Grant>| {
        let caller = v1::Caller { grants, ..v1::Caller::default() };
        caller_in_words(&caller).len() - 1
    };
    let read = || grant(&["read"], &["**"], &[]);
    assert_eq!(shown(vec![grant(&["read", "sign"], &["**"], &[]), read()]), 1);
    assert_eq!(shown(vec![grant(&["read", "sign"], &["a/*"], &[]), read()]), 2);
    assert_eq!(shown(vec![grant(&["read", "sign"], &["**"], &["v*"]), read()]), 2);
    assert_eq!(shown(vec![grant(&["sign"], &["**"], &[]), read()]), 2);
}
