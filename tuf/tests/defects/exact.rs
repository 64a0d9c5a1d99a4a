//! Signed parts that must not be signed.
use touchmark_tuf::{
    Document as _, DocumentError, ExactError, Root, Snapshot, Targets, Timestamp, ValueError, exact,
};

use crate::testing::{Files, World, tag, target};

/// Which kind of document the bytes pretend to be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Root,
    Targets,
    Snapshot,
    Timestamp,
}

impl Kind {
    pub(crate) fn read(self, signed: &[u8]) -> Result<(), ExactError> {
        match self {
            Self::Root => exact::<Root>(signed).map(drop),
            Self::Targets => exact::<Targets>(signed).map(drop),
            Self::Snapshot => exact::<Snapshot>(signed).map(drop),
            Self::Timestamp => exact::<Timestamp>(signed).map(drop),
        }
    }
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) made: Vec<u8>,
    pub(crate) expected: fn(&ExactError) -> bool,
}

macro_rules! document {
    ($pattern:pat) => {
        |error| matches!(error, ExactError::Document($pattern))
    };
}
macro_rules! value {
    ($field:literal, $pattern:pat) => {
        document!(DocumentError::Value { field: $field, cause: $pattern })
    };
}

/// Replaces the first `from`, which must be there.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1)
}

/// From where `from` begins to where `to` does after it.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap();
    let length = text[start..].find(to).unwrap();
    &text[start..start + length]
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The canonical signed parts of a good repository.
struct Good {
    root: String,
    targets: String,
    snapshot: String,
    timestamp: String,
}

fn good() -> Good {
    let mut world = World::new();
    let custom = Some(r#"{"note":1}"#.into());
    world.targets.targets.insert(tag("c"), touchmark_tuf::Target { custom, ..target("custom") });
    let Files { snapshot, timestamp, .. } = world.files();
    let signed = |file: &[u8]| {
        let file = text(file.to_vec());
        let (signed, _) = file.split_once(",\"signatures\":").unwrap();
        signed["{\"signed\":".len()..].to_owned()
    };
    Good {
        root: text(world.root.write()),
        targets: text(world.targets.write()),
        snapshot: signed(&snapshot),
        timestamp: signed(&timestamp),
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let good = good();
    for (kind, text) in [
        (Kind::Root, &good.root),
        (Kind::Targets, &good.targets),
        (Kind::Snapshot, &good.snapshot),
        (Kind::Timestamp, &good.timestamp),
    ] {
        kind.read(text.as_bytes()).unwrap();
    }
    let case = |kind, name: &str, made: Vec<u8>, expected| Case {
        name: format!("exact-{name}.json"),
        kind,
        made,
        expected,
    };
    let mut cases = Vec::new();
    let mut targets = |name: &str, from: &str, to: &str, expected: fn(&ExactError) -> bool| {
        cases.push(case(Kind::Targets, name, replaced(&good.targets, from, to).into_bytes(), expected));
    };

    // Names.
    targets(
        "duplicate-field",
        r#","version":2"#,
        r#","version":2,"version":2"#,
        document!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-targets",
        r#","targets":{"#,
        r#","targets":{},"targets":{"#,
        document!(DocumentError::Duplicate { .. }),
    );
    let entry = part(&good.targets, r#""base":{"#, r#","c":{"#);
    targets("duplicate-tag", entry, &format!("{entry},{entry}"), document!(DocumentError::Duplicate { .. }));
    targets(
        "case-variant-field",
        r#"{"_type""#,
        r#"{"Targets":{},"_type""#,
        document!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "kelvin-sign-field",
        r#""threshold":1}]},"expires""#,
        "\"threshold\":1}],\"\u{212a}eys\":{}},\"expires\"",
        document!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "long-s-field",
        r#","targets":{"#,
        ",\"expire\u{17f}\":1,\"targets\":{",
        document!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "long-s-in-a-delegation",
        r#","threshold":1"#,
        ",\"path\u{17f}\":[],\"threshold\":1",
        document!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "unknown-field",
        r#","targets":{"#,
        r#","spec_version":"1","targets":{"#,
        document!(DocumentError::UnknownField { .. }),
    );
    targets(
        "unknown-field-in-a-tag",
        r#","length":3"#,
        r#","length":3,"size":3"#,
        document!(DocumentError::UnknownField { .. }),
    );
    targets(
        "names-out-of-order",
        r#"{"_type":"Targets","#,
        r#"{"version":2,"_type":"Targets","#,
        document!(DocumentError::NotCanonical { .. }),
    );
    targets(
        "wrong-type",
        r#""_type":"Targets""#,
        r#""_type":"Root""#,
        document!(DocumentError::WrongType { .. }),
    );
    targets(
        "missing-version",
        r#","version":2"#,
        "",
        document!(DocumentError::MissingField { field: "version" }),
    );

    // Form.
    targets(
        "pretty-printed",
        r#"{"_type":"#,
        "{\n  \"_type\": ",
        document!(DocumentError::NotCanonical { .. }),
    );
    targets("escaped-ampersand", r#""base":"#, r#""\u0026":"#, document!(DocumentError::NotCanonical { .. }));
    targets(
        "float-version",
        r#""version":2"#,
        r#""version":2.0"#,
        document!(DocumentError::NotAnInteger { .. }),
    );
    targets("exponent", r#""length":3"#, r#""length":3e0"#, document!(DocumentError::NotAnInteger { .. }));
    targets(
        "big-integer",
        r#""length":3"#,
        r#""length":9007199254740993"#,
        document!(DocumentError::IntegerTooBig { .. }),
    );
    targets(
        "big-integer-in-custom",
        r#"{"note":1}"#,
        r#"{"note":12345678901234567}"#,
        document!(DocumentError::IntegerTooBig { .. }),
    );
    targets("leading-zero", r#""length":3"#, r#""length":03"#, document!(DocumentError::NotCanonical { .. }));
    targets("negative-length", r#""length":3"#, r#""length":-3"#, value!("length", ValueError::Number));
    targets("version-zero", r#""version":2"#, r#""version":0"#, value!("version", ValueError::Id(_)));
    targets(
        "version-too-high",
        r#""version":2"#,
        r#""version":9007199254740992"#,
        value!("version", ValueError::Id(_)),
    );
    targets(
        "version-as-text",
        r#""version":2"#,
        r#""version":"2""#,
        document!(DocumentError::WrongKind { .. }),
    );
    targets(
        "control-character-in-tag",
        r#""base":"#,
        "\"ba\tse\":",
        document!(DocumentError::Control { .. }),
    );
    targets("delete-character-in-tag", r#""base":"#, "\"ba\u{7f}se\":", value!("targets", ValueError::Id(_)));
    targets("empty-tag", r#""targets":{"1":"#, r#""targets":{"":"#, value!("targets", ValueError::Id(_)));

    // Times.
    targets(
        "expires-with-trailing-zeros",
        r#"00Z","targets""#,
        r#"00.120Z","targets""#,
        value!("expires", ValueError::TimeForm),
    );
    targets(
        "expires-plus-zero",
        r#"00Z","targets""#,
        r#"00+00:00","targets""#,
        value!("expires", ValueError::TimeForm),
    );
    targets(
        "expires-not-a-time",
        r#"00Z","targets""#,
        r#"00","targets""#,
        value!("expires", ValueError::Time(_)),
    );

    // Tags.
    targets(
        "tag-without-sha256",
        r#""hashes":{"sha256":"#,
        r#""hashes":{"sha384":"#,
        document!(DocumentError::UnknownField { .. }),
    );
    let hashes = part(&good.targets, r#"{"sha256":"#, r#","length":3"#);
    targets("tag-without-any-digest", hashes, "{}", value!("hashes", ValueError::NoSha256));
    targets(
        "tag-without-hashes",
        &format!(r#""hashes":{hashes},"#),
        "",
        document!(DocumentError::MissingField { field: "hashes" }),
    );
    targets(
        "digest-cut-short",
        r#"{"sha256":""#,
        r#"{"sha256":"AAAA","sha512":""#,
        value!("sha256", ValueError::Length { expected: 32, found: 3 }),
    );
    targets("digest-not-base64", r#"{"sha256":""#, r#"{"sha256":"*"#, value!("sha256", ValueError::Base64));
    targets("custom-null", r#""custom":{"note":1}"#, r#""custom":null"#, |error| {
        matches!(error, ExactError::Differs { .. })
    });
    targets(
        "custom-with-space",
        r#"{"note":1}"#,
        r#"{"note": 1}"#,
        document!(DocumentError::NotCanonical { .. }),
    );
    targets(
        "custom-duplicate",
        r#"{"note":1}"#,
        r#"{"note":1,"note":2}"#,
        document!(DocumentError::Duplicate { .. }),
    );
    targets(
        "custom-case-variant",
        r#"{"note":1}"#,
        r#"{"Note":1,"note":1}"#,
        document!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "custom-too-large",
        r#"{"note":1}"#,
        &format!("\"{}\"", "x".repeat(5000)),
        value!("custom", ValueError::TooLong { .. }),
    );
    targets(
        "deep-nesting",
        r#"{"note":1}"#,
        &format!("{}{}", "[".repeat(99), "]".repeat(99)),
        document!(DocumentError::TooDeep { .. }),
    );

    // Delegations and keys.
    targets(
        "delegation-with-capital",
        r#""targets/alice""#,
        r#""targets/Alice""#,
        value!("name", ValueError::Id(_)),
    );
    targets("delegation-named-root", r#""targets/alice""#, r#""root""#, value!("name", ValueError::Id(_)));
    targets(
        "duplicate-delegation",
        r#""targets/alice""#,
        r#""targets/releases""#,
        document!(DocumentError::DuplicateDelegation { .. }),
    );
    targets("paths-empty", r#""paths":[""]"#, r#""paths":[]"#, |error| {
        matches!(error, ExactError::Differs { .. })
    });
    targets("paths-null", r#""paths":[""]"#, r#""paths":null"#, |error| {
        matches!(error, ExactError::Differs { .. })
    });
    targets(
        "private-key",
        r#""private":null"#,
        r#""private":"AAAA""#,
        value!("private", ValueError::NotNull),
    );
    targets(
        "unknown-key-type",
        r#""keytype":"ecdsa""#,
        r#""keytype":"rot13""#,
        value!("keytype", ValueError::Unknown(_)),
    );
    targets(
        "key-under-another-id",
        r#""public":"MFkw"#,
        r#""public":"MFkx"#,
        document!(DocumentError::KeyIdMismatch { .. }),
    );
    targets(
        "threshold-zero",
        r#""threshold":1"#,
        r#""threshold":0"#,
        value!("threshold", ValueError::Number),
    );
    let start = good.targets.find(r#""keyids":["#).unwrap() + r#""keyids":["#.len();
    let key_id = &good.targets[start..start + 66];
    targets(
        "duplicate-key-id",
        &format!("[{key_id}]"),
        &format!("[{key_id},{key_id}]"),
        document!(DocumentError::DuplicateKeyId { .. }),
    );
    targets("key-ids-empty-array", &format!("[{key_id}]"), "[]", |error| {
        matches!(error, ExactError::Differs { .. })
    });
    targets(
        "key-id-in-capitals",
        &format!("[{key_id}]"),
        &format!("[{}]", key_id.to_uppercase()),
        value!("keyids", ValueError::Id(_)),
    );
    targets(
        "key-not-described",
        &format!("[{key_id}]"),
        &format!("[\"{}\"]", "0".repeat(64)),
        document!(DocumentError::UnknownKey { .. }),
    );

    // Whole texts.
    let whole = |name: &str, made: Vec<u8>, expected| case(Kind::Targets, name, made, expected);
    let bytes = good.targets.as_bytes();
    cases.push(whole("trailing-newline", [bytes, b"\n"].concat(), document!(DocumentError::Trailing { .. })));
    cases.push(whole("two-documents", [bytes, bytes].concat(), document!(DocumentError::Trailing { .. })));
    cases.push(whole("cut-off", bytes[..bytes.len() - 9].to_vec(), document!(DocumentError::CutOff)));
    cases.push(whole("not-json", b"<html>503</html>".to_vec(), document!(DocumentError::Syntax { .. })));
    cases.push(whole("empty", Vec::new(), document!(DocumentError::CutOff)));
    cases.push(whole("an-array", b"[]".to_vec(), document!(DocumentError::WrongKind { .. })));
    cases.push(whole(
        "not-utf8",
        [b"{\"_type\":\"\xff", bytes].concat(),
        document!(DocumentError::NotUtf8 { at: 10 }),
    ));
    let marked = [b"\xef\xbb\xbf".as_slice(), bytes].concat();
    cases.push(whole("byte-order-mark", marked, document!(DocumentError::Syntax { .. })));
    let (head, tail) = good.targets.split_once(r#""delegations":"#).unwrap();
    let without = format!("{head}{}", &tail[tail.find(r#""expires""#).unwrap()..]);
    cases.push(whole(
        "missing-delegations",
        without.into_bytes(),
        document!(DocumentError::MissingField { field: "delegations" }),
    ));

    // The other kinds.
    let mut root = |name: &str, from: &str, to: &str, expected: fn(&ExactError) -> bool| {
        cases.push(case(Kind::Root, name, replaced(&good.root, from, to).into_bytes(), expected));
    };
    root(
        "root-extra-role",
        r#""roles":{"#,
        r#""roles":{"mirror":{},"#,
        document!(DocumentError::UnknownField { .. }),
    );
    let timestamp_role = part(&good.root, r#","timestamp":{"#, r#"},"version""#);
    root("root-without-timestamp-role", timestamp_role, "", document!(DocumentError::MissingRole { .. }));
    root(
        "root-threshold-beyond-its-keys",
        r#""threshold":1"#,
        r#""threshold":2"#,
        document!(DocumentError::TooFewKeys { .. }),
    );
    root("root-consistent-snapshot-as-number", "false", "0", document!(DocumentError::WrongKind { .. }));
    root(
        "root-duplicate-keys",
        r#","roles":{"#,
        r#","keys":{},"roles":{"#,
        document!(DocumentError::Duplicate { .. }),
    );
    let mut snapshot = |name: &str, from: &str, to: &str, expected: fn(&ExactError) -> bool| {
        cases.push(case(Kind::Snapshot, name, replaced(&good.snapshot, from, to).into_bytes(), expected));
    };
    snapshot(
        "snapshot-without-targets",
        r#""targets":{"#,
        r#""targets/a":{"#,
        document!(DocumentError::MissingRole { .. }),
    );
    snapshot(
        "snapshot-with-json-suffix",
        r#""targets/releases":"#,
        r#""targets/releases.json":"#,
        value!("meta", ValueError::Id(_)),
    );
    let mut timestamp = |name: &str, from: &str, to: &str, expected: fn(&ExactError) -> bool| {
        cases.push(case(Kind::Timestamp, name, replaced(&good.timestamp, from, to).into_bytes(), expected));
    };
    let listed = part(&good.timestamp, r#""snapshot":{"#, r#"},"version""#);
    timestamp("timestamp-without-snapshot", listed, "", document!(DocumentError::MissingRole { .. }));
    timestamp(
        "timestamp-with-two-files",
        r#""meta":{"#,
        r#""meta":{"root":{},"#,
        document!(DocumentError::UnknownField { .. }),
    );
    timestamp(
        "timestamp-too-large",
        r#""_type":"Timestamp""#,
        &format!(r#""_type":"{}""#, "x".repeat(17_000)),
        document!(DocumentError::TooLarge { .. }),
    );
    cases
}
