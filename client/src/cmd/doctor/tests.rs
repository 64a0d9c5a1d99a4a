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
    assert_eq!(verdicts(&daemon_findings(now(), &ahead), "clock"), [Verdict::Bad]);
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
fn a_yubikey_says_what_is_wrong_and_what_to_type() {
    use v1::TokenPresence::{Absent, Failed, Mismatch, Present};
    let yubikey = |presence, pin: &str| token(presence, YUBIKEY, pin);
    let judge = |token: &v1::Token, verdict, reason, words: &str| {
        let finding = one_token(token);
        assert_eq!((finding.verdict, finding.reason), (verdict, reason), "{finding:?}");
        let said = in_words(&finding);
        assert!(said.contains(words) && !said.contains("1234567"), "{said}");
    };
    let failed = |detail: &str| v1::Token { detail: detail.into(), ..yubikey(Failed, "") };
    let (bad, worth) = (Verdict::Bad, Verdict::Worth);
    judge(&failed("it does not run; start 1234567"), bad, Reason::TokenFailed, "fix: start SERIAL");
    judge(&failed("broken"), bad, Reason::TokenFailed, "fix: unplug it");
    judge(&yubikey(Absent, ""), bad, Reason::TokenNotPresent, "the number printed on it");
    let other = v1::Token {
        detail: "expected YubiKey 12345678, found YubiKey 12345679".into(),
        ..yubikey(Mismatch, "")
    };
    judge(&other, bad, Reason::TokenMismatch, "expected YubiKey SERIAL, found YubiKey SERIAL");
    judge(&yubikey(Present, "locked"), bad, Reason::PinLocked, "ykman piv access unblock-pin");
    judge(&yubikey(Present, "final"), worth, Reason::Internal, "touchmark unlock t");
    let new = v1::Token { factory_values: vec!["pin".into()], ..yubikey(Present, "ok") };
    judge(&new, bad, Reason::TokenNotReady, "touchmark token init t");
    for (firmware, verdict) in [("5.2.7", worth), ("4.3.5", worth), ("5.3.0", Verdict::Good)] {
        let old = v1::Token { firmware: firmware.into(), ..yubikey(Present, "ok") };
        judge(&old, verdict, Reason::Internal, "");
    }
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
