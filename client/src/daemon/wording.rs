//! What a waiting state is called, for people and for scripts.
use serde_json::{Value, json};
use touchmark_proto::v1;
use touchmark_proto::v1::SecretKind;
use touchmark_proto::v1::waiting::State;
use touchmark_tuf::shown;

/// A state in words.
pub(super) struct Said {
    /// The stable word of the JSON line.
    pub(super) state: &'static str,
    /// The line for people.
    pub(super) text: String,
    /// More fields of the JSON line.
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// The words for a state. Everything from the daemon is escaped again: it may quote names from documents.
pub(super) fn of(state: &State, tokens: &[v1::Token]) -> Said {
    let token = |name: &str, serial: &str| token(name, serial, tokens);
    match state {
        State::Queued(queued) => Said {
            state: "queued",
            text: format!("Waiting behind another request: {}", shown(&queued.behind)),
            fields: vec![("behind", json!(queued.behind))],
        },
        State::NeedsToken(needs) => Said {
            state: "needs-token",
            text: if needs.why.is_empty() {
                format!("Insert {}.", token(&needs.token, &needs.serial))
            } else {
                format!("{} cannot be used yet: {}", token(&needs.token, &needs.serial), shown(&needs.why))
            },
            fields: vec![
                ("token", json!(needs.token)),
                ("serial", json!(needs.serial)),
                ("why", json!(needs.why)),
            ],
        },
        State::NeedsPin(needs) => Said {
            state: "needs-pin",
            text: format!("{} is needed{}.", noun(needs, tokens), purpose(&needs.intent)),
            fields: vec![
                ("token", json!(needs.token)),
                ("serial", json!(needs.serial)),
                ("secret", json!(kind(needs.kind()))),
                ("tries_left", u32::try_from(needs.tries_left).map_or(Value::Null, |tries| json!(tries))),
                ("intent", json!(needs.intent)),
                ("deadline_unix_ms", json!(needs.deadline_unix_ms)),
            ],
        },
        State::NeedsTouch(needs) => Said {
            state: "needs-touch",
            text: format!(
                "Touch {}{}{}.",
                token(&needs.token, &needs.serial),
                if needs.of > 1 {
                    format!(" (touch {} of {})", needs.touch, needs.of)
                } else {
                    String::new()
                },
                purpose(&needs.intent)
            ),
            fields: vec![
                ("token", json!(needs.token)),
                ("serial", json!(needs.serial)),
                ("intent", json!(needs.intent)),
                ("touch", json!(needs.touch)),
                ("of", json!(needs.of)),
                ("deadline_unix_ms", json!(needs.deadline_unix_ms)),
            ],
        },
        State::Working(working) => Said {
            state: "working",
            text: format!("touchmarkd: {}", shown(&working.what)),
            fields: vec![("what", json!(working.what))],
        },
    }
}

/// The prompt for a secret, without its colon.
pub(super) fn label(needs: &v1::NeedsPin, tokens: &[v1::Token]) -> String {
    let tries = match u32::try_from(needs.tries_left) {
        Err(_) => String::new(),
        Ok(1) => ", 1 try left".to_owned(),
        Ok(tries) => format!(", {tries} tries left"),
    };
    format!("{}{tries}", noun(needs, tokens))
}

/// That the last one was wrong.
pub(super) fn refused(needs: &v1::NeedsPin, tokens: &[v1::Token]) -> String {
    match needs.tries_left {
        ..0 => format!("{} was refused", noun(needs, tokens)),
        tries => format!("{} was refused; tries left: {tries}", noun(needs, tokens)),
    }
}

fn noun(needs: &v1::NeedsPin, tokens: &[v1::Token]) -> String {
    let token = token(&needs.token, &needs.serial, tokens);
    match needs.kind() {
        SecretKind::Pin | SecretKind::Unspecified => format!("PIN of {token}"),
        SecretKind::NewPin => format!("New PIN for {token}"),
        SecretKind::NewPuk => format!("New PUK (it sets a new PIN; keep it elsewhere) for {token}"),
        SecretKind::SoPin => format!("Administrator (SO) PIN of {token}"),
        SecretKind::Passphrase => "Passphrase".to_owned(),
        SecretKind::NewPassphrase => "New passphrase".to_owned(),
        SecretKind::KeyFile => "Key file".to_owned(),
    }
}

const fn kind(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Pin | SecretKind::Unspecified => "pin",
        SecretKind::NewPin => "new-pin",
        SecretKind::NewPuk => "new-puk",
        SecretKind::SoPin => "so-pin",
        SecretKind::Passphrase => "passphrase",
        SecretKind::NewPassphrase => "new-passphrase",
        SecretKind::KeyFile => "key-file",
    }
}

/// What a person calls it: a YubiKey has its number printed on it.
fn token(name: &str, serial: &str, tokens: &[v1::Token]) -> String {
    let is_yubikey = tokens.iter().any(|token| token.name == name && token.kind == "yubikey");
    if is_yubikey && !serial.is_empty() {
        format!("YubiKey {}", shown(serial))
    } else if serial.is_empty() {
        format!("token \"{}\"", shown(name))
    } else {
        format!("token \"{}\" (serial {})", shown(name), shown(serial))
    }
}

fn purpose(intent: &str) -> String {
    if intent.is_empty() { String::new() } else { format!(" to {}", shown(intent)) }
}
