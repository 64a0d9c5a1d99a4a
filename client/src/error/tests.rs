use super::*;

#[test]
fn the_json_is_the_one_of_the_contract() {
    let error = Error::from(Refusal {
        request_id: Some("r1".to_owned()),
        tries_left: Some(2),
        ..Refusal::new(Reason::WrongPin, "the PIN was refused").hint("touchmark unlock")
    });
    let wanted = json!({ "error": {
        "reason": "WRONG_PIN", "message": "the PIN was refused", "hint": "touchmark unlock",
        "request_id": "r1", "tries_left": 2,
    }});
    assert_eq!(error.to_json(), wanted);
    assert_eq!(error.exit_code(), 4);
    assert_eq!(Error::usage("x").to_json(), json!({ "error": { "reason": "USAGE", "message": "x" }}));
}

#[test]
fn what_is_not_a_refusal_has_its_own_exit_code() {
    assert_eq!(Error::internal("x").exit_code(), 70);
    assert_eq!(Error::interrupted().exit_code(), 130);
    assert_eq!(Error::usage("x").exit_code(), 2);
}
