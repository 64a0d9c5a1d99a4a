use super::*;

fn now() -> Instant {
    Instant::from_unix(1_800_000_000)
}

fn verdicts(findings: &[Finding], what: &str) -> Vec<Verdict> {
    findings.iter().filter(|finding| finding.what == what).map(|finding| finding.verdict).collect()
}

fn token(presence: v1::TokenPresence, kind: &str, pin_state: &str) -> v1::Token {
    v1::Token {
        name: "t".into(),
        kind: kind.into(),
        presence: presence.into(),
        pin_state: pin_state.into(),
        serial: "12345678".into(),
        ..v1::Token::default()
    }
}

#[test]
fn a_clock_of_the_past_is_wrong() {
    assert_eq!(clock(Instant::from_unix(0)).verdict, Verdict::Bad);
    assert_eq!(clock(now()).verdict, Verdict::Good);
    let ahead = v1::StatusResponse { started_unix: now().unix() + 3600, ..Default::default() };
    assert_eq!(verdicts(&daemon_findings(now(), &ahead, true), "clock"), [Verdict::Bad]);
}

#[test]
fn each_state_of_a_token_has_its_fix() {
    use v1::TokenPresence::{Absent, Failed, Mismatch, Present};
    for (presence, pin, reason) in [
        (Absent, "", Reason::TokenNotPresent),
        (Mismatch, "", Reason::TokenMismatch),
        (Failed, "", Reason::TokenFailed),
        (Present, "locked", Reason::PinLocked),
    ] {
        let finding = one_token(&token(presence, "pkcs11", pin));
        assert_eq!((finding.verdict, finding.reason), (Verdict::Bad, reason));
        assert!(finding.fix.is_some());
        assert!(!in_words(&finding).contains("12345678"), "a serial number is nobody's business");
    }
    assert_eq!(one_token(&token(Present, "pkcs11", "ok")).verdict, Verdict::Good);
}

#[test]
fn a_yubikey_wants_pcscd() {
    let found = v1::StatusResponse {
        tokens: vec![token(v1::TokenPresence::Present, "yubikey", "ok")],
        ..Default::default()
    };
    assert_eq!(verdicts(&daemon_findings(now(), &found, false), "pcscd"), [Verdict::Bad]);
    assert_eq!(verdicts(&daemon_findings(now(), &found, true), "pcscd"), []);
}

#[test]
fn little_lockable_memory_is_worth_a_word() {
    let vault =
        |locked_limit| v1::VaultStatus { locked_bytes: 8_000_000, locked_limit, ..Default::default() };
    assert_eq!(memory(&vault(8_020_000))[0].verdict, Verdict::Worth);
    assert_eq!(memory(&vault(16_000_000))[0].verdict, Verdict::Good);
    assert_eq!(memory(&vault(0))[0].verdict, Verdict::Good, "0 is no limit");
}

#[test]
fn private_words_are_hidden_the_longest_first() {
    let private = Private(vec![("host:5000/team/app".into(), "IMAGE"), ("host:5000".into(), "REGISTRY")]);
    assert_eq!(private.hide("host:5000 has no host:5000/team/app:1"), "REGISTRY has no IMAGE:1");
}
