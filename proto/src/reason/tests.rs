use super::*;

#[test]
fn every_reason_survives_the_wire() {
    for reason in Reason::ALL.iter().copied() {
        let mut refusal = Refusal::new(reason, "what failed").hint("touchmark status");
        refusal.tries_left = Some(2);
        refusal.request_id = Some("r-1".into());
        refusal.retry_after = Some(Duration::from_secs(3));
        let status = refusal.clone().into_status();
        assert_eq!(status.code(), reason.code());
        assert_eq!(Refusal::from_status(&status), Some(refusal));
    }
}

#[test]
fn a_status_of_somebody_else_is_none_of_ours() {
    assert_eq!(Refusal::from_status(&Status::unavailable("connection refused")), None);
}

#[test]
fn the_contract_of_exit_codes() {
    let of = |text: &str| text.parse::<Reason>().map(Reason::exit_code);
    assert_eq!(of("TAG_NOT_SIGNED"), Ok(1));
    assert_eq!(of("INVALID_FIELD"), Ok(2));
    assert_eq!(of("DAEMON_UNREACHABLE"), Ok(3));
    assert_eq!(of("WRONG_PIN"), Ok(4));
    assert_eq!(of("VERSION_REUSED"), Ok(5));
    assert_eq!(of("PARTLY_PUBLISHED"), Ok(6));
    assert_eq!(of("INTERNAL"), Ok(70));
    assert_eq!(of("NO_SUCH_REASON"), Err(()));
}
