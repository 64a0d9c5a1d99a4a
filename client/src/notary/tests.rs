use super::*;

fn notary(gun: &str) -> Notary {
    let http = Http::new("/nonexistent".into());
    Notary::new(http, "https://notary:4443".parse().unwrap(), gun.parse().unwrap())
}

fn answered(status: u16, body: &'static str) -> NotaryError {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, headers: Default::default(), body: Bytes::from_static(body.as_bytes()) };
    notary("a.b/c").accept(answer, "root.json").unwrap_err()
}

#[test]
fn addresses_are_the_ones_of_the_protocol() {
    let deadline = Deadline::after(TOTAL);
    let request =
        notary("localhost:5000/ntry/a").request(Method::GET, "targets/releases.json", "pull", deadline);
    let wanted = "https://notary:4443/v2/localhost:5000/ntry/a/_trust/tuf/targets/releases.json";
    assert_eq!(request.url.as_str(), wanted);
    assert_eq!(request.scope, "repository:localhost:5000/ntry/a:pull");
    assert_eq!(request.account.as_str(), "localhost:5000");
    assert!(notary("docker.io/library/alpine").account().is_hub());
}

#[test]
fn a_lost_race_is_told_from_a_bad_update() {
    let lost = answered(400, r#"{"errors":[{"code":"VERSION","message":"A newer version","detail":{}}]}"#);
    assert!(lost.is_conflict());
    assert_eq!(Error::from(lost).reason, Reason::PublishConflict);

    let body = r#"{"errors":[{"code":"INVALID_UPDATE","message":"update was invalid","detail":{"Name":"ErrBadRoot","Error":{"Msg":"no \u202eroot"}}}]}"#;
    let bad = answered(400, body);
    assert!(!bad.is_conflict());
    let error = Error::from(bad);
    assert_eq!(error.reason, Reason::TrustServerUnreachable);
    assert!(
        error.message.ends_with("INVALID_UPDATE: update was invalid (no \\u{202e}root)"),
        "{}",
        error.message
    );
}

#[test]
fn statuses_become_reasons() {
    for (status, reason, absence) in [
        (401, Reason::Unauthorized, false),
        (403, Reason::Unauthorized, false),
        (404, Reason::NoTrustData, false),
        (429, Reason::TrustServerUnreachable, false),
        (500, Reason::TrustServerUnreachable, true),
        (503, Reason::TrustServerUnreachable, true),
        (302, Reason::TrustServerUnreachable, false),
    ] {
        let error = answered(status, "<html>");
        assert_eq!(error.is_absence(), absence, "{status}");
        assert_eq!(Error::from(error).reason, reason, "{status}");
    }
}

#[test]
fn the_form_names_each_role_by_its_filename() {
    let form = multipart::encode(&[(RoleName::Root, b"{}".to_vec()), (RoleName::releases(), b"[]".to_vec())]);
    let text = String::from_utf8(form.body).unwrap();
    let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.len() <= 70);
    assert_eq!(text.matches(boundary).count(), 3);
    assert!(text.contains("filename=\"root\"\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n"));
    assert!(text.contains("filename=\"targets/releases\""));
    assert!(text.ends_with(&format!("--{boundary}--\r\n")));
}
