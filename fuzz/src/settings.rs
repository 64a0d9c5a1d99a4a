//! The daemon's configuration: what it means is complete and keeps its own rules, and a PIN that was written into it is
//! never shown. Policy patterns mean what a simpler reading of them says.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use touchmarkd::config::{Account, Accounts, Config, GroupEntry, PinSource, Surroundings};
use touchmarkd::policy::Glob;
use touchmarkd::token::TokenKind;

use crate::Input;

/// The first byte: a configuration file, or a pattern and a name.
pub fn settings(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        if let Ok(text) = std::str::from_utf8(input.rest()) {
            config(text);
        }
    } else if let (Ok(pattern), Ok(name)) =
        (std::str::from_utf8(input.piece()), std::str::from_utf8(input.rest()))
    {
        glob(pattern, name);
    }
}

/// Whoever is asked for is there.
struct Everybody;

impl Accounts for Everybody {
    fn user(&self, name: &str) -> Option<Account> {
        let uid = u32::try_from(name.len()).ok()?;
        (!name.is_empty()).then(|| Account { name: name.to_owned(), uid, gid: uid })
    }
    fn uid(&self, uid: u32) -> Option<Account> {
        Some(Account { name: "someone".to_owned(), uid, gid: uid })
    }
    fn group(&self, name: &str) -> Option<GroupEntry> {
        let gid = u32::try_from(name.len()).ok()?;
        let members = vec!["alice".to_owned(), "bob".to_owned()];
        (!name.is_empty()).then(|| GroupEntry { name: name.to_owned(), gid, members })
    }
    fn groups_of(&self, account: &Account) -> Vec<u32> {
        vec![account.gid, 5]
    }
}

fn config(text: &str) {
    let variables =
        BTreeMap::from([("XDG_RUNTIME_DIR", "/run/user/990".into()), ("HOME", "/home/tm".into())]);
    let surroundings = Surroundings { uid: 990, variables };
    let config = match Config::parse(text, Some(Path::new("t.toml")), &surroundings, &Everybody) {
        Ok(config) => config,
        Err(error) => return keeps_pins(text, &error.to_string()),
    };
    for path in [&config.socket, &config.state] {
        assert!(path.is_absolute() && path.components().all(|part| part != Component::ParentDir), "{path:?}");
    }
    assert!(config.socket.as_os_str().len() <= 107);
    let names: BTreeSet<&str> = config.tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names.len(), config.tokens.len());
    for token in &config.tokens {
        match &token.kind {
            TokenKind::Pkcs11 { module, label, .. } => {
                assert!(module.is_absolute() && (1..=32).contains(&label.len()));
            }
            TokenKind::Yubikey { serial } => assert!(*serial > 0 && token.env.is_empty()),
        }
        assert!(token.env.iter().all(|(name, value)| !name.contains(['=', '\0']) && !value.contains('\0')));
        if let PinSource::File(path) = &token.pin {
            assert!(path.is_absolute());
        }
    }
    let granted = config.allow.iter().map(|allow| &allow.grant);
    assert!(granted.clone().all(|grant| !grant.repositories.is_empty() && !grant.actions.is_empty()));
    let times = [config.locking.idle, config.locking.at_most, Some(config.max_expiry.root)];
    assert!(times.into_iter().flatten().all(|time| time.as_secs() > 0), "a length of time that is none");
}

/// No refusal shows a number that stands where the place of a PIN is to be named.
fn keeps_pins(text: &str, refusal: &str) {
    let Ok(table) = text.parse::<toml::Table>() else { return };
    let tokens = table.get("token").and_then(toml::Value::as_array).into_iter().flatten();
    for pin in tokens.filter_map(|token| token.get("pin")) {
        let named = pin.as_str().is_some_and(|text| text.starts_with("file:"));
        let pin = pin.to_string();
        let numbers = pin.split(|c: char| !c.is_ascii_digit()).filter(|number| number.len() >= 6 && !named);
        for number in numbers.filter(|number| text.matches(number).count() == 1) {
            assert!(!refusal.contains(number), "the PIN is shown: {refusal}");
        }
    }
}

fn glob(pattern: &str, name: &str) {
    let Ok(glob) = Glob::parse(pattern) else { return };
    assert_eq!(glob.to_string(), pattern);
    let covered = glob.matches(name);
    if pattern.len() <= 24 && name.len() <= 24 && pattern.matches('*').count() <= 6 {
        assert_eq!(covered, naive(pattern.as_bytes(), name.as_bytes()), "{pattern:?} and {name:?}");
    }
}

/// By trying everything.
fn naive(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| naive(rest, &name[at..])),
        [b'*', rest @ ..] => {
            let segment = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=segment).any(|at| naive(rest, &name[at..]))
        }
        [byte, rest @ ..] => name.first() == Some(byte) && naive(rest, &name[1..]),
    }
}
