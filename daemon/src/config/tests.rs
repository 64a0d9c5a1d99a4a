use std::path::Path;

use super::*;
use crate::policy::{Action, Who};
use crate::token::TokenKind;

struct Fake;

impl Accounts for Fake {
    fn user(&self, name: &str) -> Option<Account> {
        let (uid, gid) = match name {
            "touchmark" => (990, 990),
            "alice" => (1000, 1000),
            "bob" => (1001, 1001),
            _ => return None,
        };
        Some(Account { name: name.into(), uid, gid })
    }
    fn uid(&self, uid: u32) -> Option<Account> {
        ["touchmark", "alice", "bob"]
            .into_iter()
            .filter_map(|name| self.user(name))
            .find(|user| user.uid == uid)
    }
    fn group(&self, name: &str) -> Option<GroupEntry> {
        let (gid, members) = match name {
            "touchmark" => (990, vec!["alice".to_owned()]),
            "release" => (2000, vec!["alice".to_owned()]),
            "interns" => (2001, vec!["alice".to_owned(), "bob".to_owned()]),
            _ => return None,
        };
        Some(GroupEntry { name: name.into(), gid, members })
    }
    fn groups_of(&self, account: &Account) -> Vec<u32> {
        match account.name.as_str() {
            "alice" => vec![1000, 990, 2000, 2001],
            other => vec![self.user(other).unwrap().gid],
        }
    }
}

fn surroundings() -> Surroundings {
    let variables =
        BTreeMap::from([("XDG_RUNTIME_DIR", "/run/user/990".into()), ("HOME", "/home/tm".into())]);
    Surroundings { uid: 990, variables }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Some(Path::new("t.toml")), &surroundings(), &Fake)
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("must be refused").to_string()
}

const TOKEN: &str =
    "[[token]]\nname = \"root\"\nkind = \"pkcs11\"\nmodule = \"/m.so\"\ntoken-label = \"t\"\n";

#[test]
fn nothing_written_is_the_users_own_daemon() {
    let config = parse("").unwrap();
    assert_eq!(config.socket, Path::new("/run/user/990/touchmark/touchmarkd.sock"));
    assert_eq!(config.state, Path::new("/home/tm/.local/state/touchmark"));
    assert_eq!(config.locking, Locking::default());
    assert_eq!(config.max_expiry, MaxExpiry::default());
    assert!(config.tokens.is_empty() && config.allow.is_empty() && config.socket_group.is_none());
}

#[test]
fn systemd_directories_win() {
    let variables = BTreeMap::from([
        ("CONFIGURATION_DIRECTORY", "/etc/touchmark".to_owned()),
        ("STATE_DIRECTORY", "/var/lib/touchmark:/var/lib/other".into()),
        ("RUNTIME_DIRECTORY", "/run/touchmark".into()),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/touchmarkd.service".into()),
        ("HOME", "/root".into()),
    ]);
    let unit = Surroundings { uid: 990, variables };
    let config = Config::parse("", None, &unit, &Fake).unwrap();
    assert_eq!(config.socket, Path::new("/run/touchmark/touchmarkd.sock"));
    assert_eq!(config.state, Path::new("/var/lib/touchmark"));
    assert_eq!(unit.config_file().unwrap(), Path::new("/etc/touchmark/touchmarkd.toml"));
    assert_eq!(unit.credential("pin").unwrap(), Path::new("/run/credentials/touchmarkd.service/pin"));
}

// It shows a YubiKey too.
#[cfg(feature = "yubikey")]
#[test]
fn the_shipped_example_is_read_whole() {
    let text = include_str!("../../touchmarkd.example.toml");
    let config = parse(text).unwrap();
    assert_eq!(config.socket, Path::new("/run/touchmark/touchmarkd.sock"));
    assert_eq!(config.locking.idle, Some(units::hours(8)));
    assert_eq!(config.locking.at_most, Some(units::hours(24)));
    assert_eq!(config.max_expiry.root, Duration::from_secs(10 * 365 * 86_400));
    let token = config.tokens.first().unwrap();
    assert!(matches!(&token.kind, TokenKind::Pkcs11 { label, .. } if label == "touchmark"), "{token:?}");
    assert_eq!(token.env.get("SOFTHSM2_CONF").map(String::as_str), Some("/etc/touchmark/softhsm2.conf"));
    assert_eq!(token.pin, PinSource::Ask);
    let allow = config.allow.first().unwrap();
    assert_eq!(allow.name, "user alice");
    assert_eq!(allow.grant.who, Who::User(1000));
    assert_eq!(allow.grant.actions, [Action::Read, Action::Sign, Action::Revoke].into());
    // Every commented-out line of the example is a line that works, too.
    let all: String =
        text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    assert_ne!(all.trim(), text.trim());
    parse(&all).unwrap();
}

#[test]
fn pins_come_from_a_person_a_credential_or_an_allowed_file() {
    let pin =
        |line: &str, before: &str| parse(&format!("{before}{TOKEN}{line}")).map(|c| c.tokens[0].pin.clone());
    assert_eq!(pin("", ""), Ok(PinSource::Ask));
    assert_eq!(pin("pin = \"credential:tm\"", ""), Ok(PinSource::Credential("tm".into())));
    assert_eq!(pin("pin = \"file:/p\"", "allow-pin-file = true\n"), Ok(PinSource::File("/p".into())));
}

#[test]
fn the_text_of_each_refusal() {
    let cases: &[(&str, &str)] = &[
        (
            "sokcet = \"/x/y\"",
            "t.toml, line 1: unknown field `sokcet`, expected one of `socket`, `socket-group`, `state`, `lock-after`, `unlock-at-most`, `lock-on-sleep`, `max-expiry`, `allow-pin-file`, `token`, `allow`",
        ),
        ("\nsocket = 3", "t.toml, line 2: invalid type: integer `3`, expected a string"),
        (
            "socket = \"run/tm.sock\"",
            "t.toml, line 1, socket: `run/tm.sock` is a relative path; write it from / on",
        ),
        (
            "socket = \"/run/../tm/s\"",
            "t.toml, line 1, socket: `/run/../tm/s` goes through `..`; write it straight",
        ),
        ("socket = \"/s\"", "t.toml, line 1, socket: `/s` is not inside a folder of its own"),
        (
            "socket-group = \"nobodys\"",
            "t.toml, line 1, socket-group: there is no group `nobodys` on this machine",
        ),
        ("state = \"lib\"", "t.toml, line 1, state: `lib` is a relative path; write it from / on"),
        (
            "\n\nlock-after = \"8 hours\"",
            "t.toml, line 3, lock-after: `8 hours` is no length of time; write a number and one of s, m, h, d, w, y, as in \"8h\"",
        ),
        ("unlock-at-most = \"0h\"", "t.toml, line 1, unlock-at-most: `0h` is no time at all"),
        (
            "max-expiry = { root = \"101y\" }",
            "t.toml, line 1, max-expiry.root: `101y` is more than 100 years",
        ),
        (
            "max-expiry = { timestamp = \"1y\" }",
            "t.toml, line 1: unknown field `timestamp`, expected `root` or `targets`",
        ),
        (
            "[[token]]\nname = \"a b\"\nkind = \"pkcs11\"",
            "t.toml, line 2, token.name: `a b` is no name; use letters, digits, - _ .",
        ),
        (
            "[[token]]\nname = \"a\"\nkind = \"smartcard\"",
            "t.toml, line 3, token.kind: there is no kind `smartcard`; there are \"pkcs11\" and \"yubikey\"",
        ),
        (
            "[[token]]\nname = \"a\"\nkind = \"pkcs11\"",
            "t.toml, line 2, token.module: token `a` has no module; write module = \"/path/to/module.so\"",
        ),
        (
            "[[token]]\nname = \"a\"\nkind = \"pkcs11\"\nmodule = \"/m.so\"",
            "t.toml, line 2, token.token-label: token `a` could be any token of the module; write token-label = \"LABEL\"",
        ),
        (
            "[[token]]\nname = \"a\"\nkind = \"pkcs11\"\nmodule = \"m.so\"\ntoken-label = \"t\"",
            "t.toml, line 4, token.module: `m.so` is a relative path; write it from / on",
        ),
        (
            "[[token]]\nname = \"a\"\nkind = \"pkcs11\"\nmodule = \"/m.so\"\nserial = \"12345678901234567\"\ntoken-label = \"t\"",
            "t.toml, line 5, token.serial: `12345678901234567` is not 1 to 16 bytes long",
        ),
        (
            "[[allow]]\nrepositories = [\"**\"]\nactions = [\"read\"]",
            "t.toml, line 2, allow: names nobody; write user = \"NAME\" or group = \"NAME\"",
        ),
        ("[[allow]]\nuser = \"alice\"\nactions = [\"read\"]", "t.toml, line 1: missing field `repositories`"),
        (
            "[[allow]]\nuser = \"carol\"\nrepositories = [\"**\"]\nactions = [\"read\"]",
            "t.toml, line 2, allow.user: there is no user `carol` on this machine",
        ),
        (
            "[[allow]]\ngroup = \"carols\"\nrepositories = [\"**\"]\nactions = [\"read\"]",
            "t.toml, line 2, allow.group: there is no group `carols` on this machine",
        ),
        (
            "[[allow]]\nuser = \"touchmark\"\ngroup = \"release\"\nrepositories = [\"**\"]\nactions = [\"read\"]",
            "t.toml, line 2, allow.user: stands beside a group; write two [[allow]]",
        ),
        (
            "[[allow]]\nuser = \"touchmark\"\nrepositories = []\nactions = [\"read\"]",
            "t.toml, line 3, allow.repositories: is empty, so this [[allow]] would allow nothing",
        ),
        (
            "[[allow]]\nuser = \"touchmark\"\nrepositories = [\"a b\"]\nactions = [\"read\"]",
            "t.toml, line 3, allow.repositories: a pattern has white space or a control character in it",
        ),
        (
            "[[allow]]\nuser = \"touchmark\"\nrepositories = [\"**\"]\nactions = [\"write\"]",
            "t.toml, line 4, allow.actions: `write` is no action; there are read, sign, revoke, refresh, init, delegate, rotate, unlock, keys, admin",
        ),
        (
            "[[allow]]\nuser = \"touchmark\"\nrepositories = [\"**\"]\nactions = []",
            "t.toml, line 4, allow.actions: is empty, so this [[allow]] would allow nothing",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(refusal(text), *wanted, "for:\n{text}");
    }
}

#[cfg(feature = "yubikey")]
#[test]
fn a_yubikey_is_its_serial_number_and_nothing_else() {
    let head = "[[token]]\nname = \"a\"\nkind = \"yubikey\"\n";
    let config = parse(&format!("{head}serial = 12345678\n")).unwrap();
    assert_eq!(config.tokens[0].kind, TokenKind::Yubikey { serial: 12_345_678 });
    assert_eq!(config.tokens[0].kind.to_string(), "YubiKey 12345678");
    let only = "is for PKCS#11 modules; a YubiKey has its serial alone";
    let digits = "is no YubiKey's serial number; write the digits that are printed on it, unquoted";
    for (more, wanted) in [
        (
            "",
            "line 2, token.serial: token `a` could be any YubiKey; write serial = NUMBER, as printed on it"
                .into(),
        ),
        ("module = \"/m.so\"\nserial = 1", format!("line 4, token.module: {only}")),
        ("token-label = \"l\"\nserial = 1", format!("line 4, token.token-label: {only}")),
        ("env = { A = \"b\" }\nserial = 1", format!("line 4, token.env: {only}")),
        ("serial = \"12345678\"", format!("line 4, token.serial: {digits}")),
        ("serial = 0", format!("line 4, token.serial: {digits}")),
        ("serial = 4294967296", format!("line 4, token.serial: {digits}")),
    ] {
        assert_eq!(refusal(&format!("{head}{more}")), format!("t.toml, {wanted}"));
    }
}

#[test]
fn a_build_without_yubikeys_says_so() {
    let text = "[[token]]\nname = \"a\"\nkind = \"yubikey\"\nserial = 1";
    let written: written::File = toml::from_str(text).unwrap();
    let reading = Reading { text, file: Some(Path::new("t.toml")) };
    let refused = token::yubikey(&reading, &written.token[0], token::Yubikeys::LeftOut).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "t.toml, line 3, token.kind: this touchmarkd was built without YubiKeys (its feature `yubikey`)"
    );
}

#[test]
fn a_pin_in_the_file_is_refused_and_not_shown() {
    let said = refusal(&format!("{TOKEN}pin = \"123456\""));
    assert_eq!(
        said,
        "t.toml, line 6, token.pin: is not \"ask\", \"credential:NAME\" or \"file:/PATH\" (a PIN has no place here)"
    );
    for number in ["123456", "0x1e240", "123456.5", "[123456]", "{ is = 123456 }"] {
        assert_eq!(refusal(&format!("{TOKEN}pin = {number}")), said, "{number}");
    }
    let said = refusal(&format!("{TOKEN}pin = \"file:/p\""));
    assert_eq!(
        said,
        "t.toml, line 6, token.pin: a PIN in a file is a PIN for whoever reads the disk; write allow-pin-file = true to have it all the same, or use \"credential:NAME\""
    );
    let said = refusal(&format!("allow-pin-file = true\n{TOKEN}pin = \"file:p\""));
    assert_eq!(said, "t.toml, line 7, token.pin: `p` is a relative path; write it from / on");
}

#[test]
fn names_and_variables_that_cannot_be() {
    assert_eq!(
        refusal(&format!("{TOKEN}{TOKEN}")),
        "t.toml, line 7, token.name: `root` is the name of two tokens; each needs its own"
    );
    assert_eq!(
        refusal(&format!("{TOKEN}env = {{ \"A=B\" = \"c\" }}")),
        "t.toml, line 6, token.env: `A=B` cannot be an environment variable"
    );
    let long = "x".repeat(33);
    assert_eq!(
        refusal(&TOKEN.replace("\"t\"", &format!("\"{long}\""))),
        format!("t.toml, line 5, token.token-label: `{long}` is not 1 to 32 bytes long")
    );
    let long = format!("/{}/s", "x".repeat(105));
    assert_eq!(
        refusal(&format!("socket = \"{long}\"")),
        format!("t.toml, line 1, socket: `{long}` has 108 bytes; a socket's path has at most 107")
    );
    let fits = format!("/{}/s", "x".repeat(104));
    assert_eq!(parse(&format!("socket = \"{fits}\"")).unwrap().socket, Path::new(&fits));
}

#[test]
fn an_allow_for_somebody_who_cannot_reach_the_socket_is_refused() {
    let allow = |who: &str| format!("[[allow]]\n{who}\nrepositories = [\"**\"]\nactions = [\"sign\"]");
    assert_eq!(
        refusal(&allow("user = \"alice\"")),
        "t.toml, line 2, allow.user: `alice` cannot reach the socket: without socket-group its folder is 0700; write socket-group = \"GROUP\" with a group that `alice` is in"
    );
    assert_eq!(
        refusal(&allow("group = \"release\"")),
        "t.toml, line 2, allow.group: members of `release` cannot reach the socket: without socket-group its folder is 0700; write socket-group = \"release\""
    );
    let grouped = |who: &str| format!("socket-group = \"touchmark\"\n{}", allow(who));
    parse(&grouped("user = \"alice\"")).unwrap();
    parse(&grouped("group = \"release\"")).unwrap();
    parse(&grouped("group = \"touchmark\"")).unwrap();
    let bob = "`bob` cannot reach the socket: it is for the group `touchmark`, and `bob` is not in it; type: usermod -aG touchmark bob";
    assert_eq!(refusal(&grouped("user = \"bob\"")), format!("t.toml, line 3, allow.user: {bob}"));
    assert_eq!(refusal(&grouped("group = \"interns\"")), format!("t.toml, line 3, allow.group: {bob}"));
}

#[test]
fn a_named_file_must_be_there_and_a_default_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(Some(&missing), &surroundings(), &Fake).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: cannot be read: No such file or directory (os error 2)", missing.display())
    );
    let mut without = surroundings();
    without.variables.insert("XDG_CONFIG_HOME", folder.path().to_str().unwrap().to_owned());
    assert_eq!(Config::load(None, &without, &Fake).unwrap().file, None);
    let none = Surroundings { uid: 990, variables: BTreeMap::new() };
    assert_eq!(
        Config::parse("", None, &none, &Fake).unwrap_err().to_string(),
        "configuration, socket: not given, and neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set"
    );
    assert_eq!(
        Config::parse("socket = \"/r/s\"", None, &none, &Fake).unwrap_err().to_string(),
        "configuration, state: not given, and none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set"
    );
}

#[test]
fn lengths_of_time_are_shown_as_they_are_written() {
    for text in ["8h", "24h", "10y", "90s", "7m", "3w"] {
        let time = units::duration(text).unwrap();
        assert_eq!(units::duration(&shown(time).to_string()), Ok(time), "{text}");
    }
    assert_eq!(shown(units::hours(24)).to_string(), "1d");
}
