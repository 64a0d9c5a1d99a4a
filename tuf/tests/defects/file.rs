//! Files that must not even be read, whoever signed them.
use touchmark_tuf::{DocumentError, Root, Snapshot, Targets, Timestamp, Unverified, ValueError};

use crate::exact::{Kind, replaced, text};
use crate::testing::World;

impl Kind {
    pub(crate) fn parse(self, file: &[u8]) -> Result<(), DocumentError> {
        match self {
            Self::Root => Unverified::<Root>::parse(file).map(drop),
            Self::Targets => Unverified::<Targets>::parse(file).map(drop),
            Self::Snapshot => Unverified::<Snapshot>::parse(file).map(drop),
            Self::Timestamp => Unverified::<Timestamp>::parse(file).map(drop),
        }
    }
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) made: Vec<u8>,
    pub(crate) expected: fn(&DocumentError) -> bool,
}

macro_rules! refusal {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let files = World::new().files();
    let good = text(files.targets);
    Kind::Targets.parse(good.as_bytes()).unwrap();
    let case = |kind, name: &str, made: Vec<u8>, expected| Case {
        name: format!("file-{name}.json"),
        kind,
        made,
        expected,
    };
    let mut cases = Vec::new();
    let mut targets = |name: &str, from: &str, to: &str, expected: fn(&DocumentError) -> bool| {
        cases.push(case(Kind::Targets, name, replaced(&good, from, to).into_bytes(), expected));
    };

    // What Go would take, and take differently from another reader.
    targets(
        "duplicate-field",
        r#""targets":{"#,
        r#""targets":{},"targets":{"#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-field-apart",
        r#"{"_type""#,
        r#"{"targets":{},"_type""#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-field-escaped",
        r#"{"_type""#,
        r#"{"\u0074argets":{},"_type""#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-signed",
        r#"{"signed":"#,
        r#"{"signed":{},"signed":"#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-tag",
        r#""targets":{"#,
        r#""targets":{"base":{},"#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets(
        "duplicate-in-unknown-field",
        r#"{"_type""#,
        r#"{"x":{"a":1,"a":2},"_type""#,
        refusal!(DocumentError::Duplicate { .. }),
    );
    targets("duplicate-sig", r#""sig":""#, r#""sig":"","sig":""#, refusal!(DocumentError::Duplicate { .. }));
    targets(
        "case-variant-targets",
        r#"{"_type""#,
        r#"{"Targets":{"evil":{}},"_type""#,
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "case-variant-signed",
        r#"{"signed":"#,
        r#"{"Signed":{},"signed":"#,
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "case-variant-alone",
        r#""expires":"#,
        r#""Expires":"#,
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "case-variant-in-unknown-field",
        r#"{"_type""#,
        r#"{"x":{"a":1,"A":2},"_type""#,
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "case-variant-keyid",
        r#""keyid":"#,
        r#""KeyID":"","keyid":"#,
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "kelvin-sign-field",
        r#""keys":{"#,
        "\"\u{212a}eys\":{},\"keys\":{",
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "kelvin-sign-escaped",
        r#""keys":{"#,
        "\"\\u212aeys\":{},\"keys\":{",
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "long-s-field",
        r#""expires":"#,
        "\"expire\u{17f}\":1,\"expires\":",
        refusal!(DocumentError::CaseVariant { .. }),
    );
    targets(
        "long-s-signed",
        r#"{"signed":"#,
        "{\"\\u017figned\":{},\"signed\":",
        refusal!(DocumentError::CaseVariant { .. }),
    );

    // What nobody should take.
    targets("float", r#""version":2"#, r#""version":2.5"#, refusal!(DocumentError::NotAnInteger { .. }));
    targets(
        "big-integer",
        r#""length":3"#,
        r#""length":12345678901234567"#,
        refusal!(DocumentError::IntegerTooBig { .. }),
    );
    targets(
        "control-character-in-tag",
        r#""base":"#,
        r#""ba\tse":"#,
        refusal!(DocumentError::Control { .. }),
    );
    targets("lone-surrogate", r#""base":"#, r#""ba\ud83dse":"#, refusal!(DocumentError::Syntax { .. }));
    targets(
        "deep-nesting",
        r#"{"_type""#,
        &format!(r#"{{"x":{}{},"_type""#, "[".repeat(40), "]".repeat(40)),
        refusal!(DocumentError::TooDeep { .. }),
    );
    targets(
        "wrong-type",
        r#""_type":"Targets""#,
        r#""_type":"Snapshot""#,
        refusal!(DocumentError::WrongType { .. }),
    );
    targets(
        "missing-delegations",
        r#""delegations":"#,
        r#""x":"#,
        refusal!(DocumentError::MissingField { field: "delegations" }),
    );
    targets(
        "missing-signed",
        r#"{"signed":"#,
        r#"{"x":"#,
        refusal!(DocumentError::MissingField { field: "signed" }),
    );
    targets(
        "missing-signatures",
        r#""signatures":"#,
        r#""x":"#,
        refusal!(DocumentError::MissingField { field: "signatures" }),
    );
    targets(
        "signature-not-base64",
        r#""sig":""#,
        r#""sig":"-"#,
        refusal!(DocumentError::Value { field: "sig", cause: ValueError::Base64 }),
    );
    targets(
        "version-negative",
        r#""version":2"#,
        r#""version":-3"#,
        refusal!(DocumentError::Value { field: "version", .. }),
    );
    targets(
        "private-key",
        r#""private":null"#,
        r#""private":"AAAA""#,
        refusal!(DocumentError::Value { field: "private", .. }),
    );
    targets(
        "key-under-another-id",
        r#""public":"MFkw"#,
        r#""public":"MFkx"#,
        refusal!(DocumentError::KeyIdMismatch { .. }),
    );

    let whole = |name: &str, made: Vec<u8>, expected| case(Kind::Targets, name, made, expected);
    let bytes = good.as_bytes();
    cases.push(whole("cut-off", bytes[..bytes.len() / 2].to_vec(), refusal!(DocumentError::CutOff)));
    cases.push(whole("not-json", b"<!DOCTYPE html>".to_vec(), refusal!(DocumentError::Syntax { .. })));
    cases.push(whole("empty", Vec::new(), refusal!(DocumentError::CutOff)));
    cases.push(whole("not-utf8", [b"{\"\xc3", bytes].concat(), refusal!(DocumentError::NotUtf8 { .. })));
    cases.push(whole(
        "something-after-it",
        [bytes, b"{}"].concat(),
        refusal!(DocumentError::Trailing { .. }),
    ));
    let mut large = files.timestamp;
    large.resize(17_000, b' ');
    cases.push(case(Kind::Timestamp, "timestamp-too-large", large, refusal!(DocumentError::TooLarge { .. })));
    let root = replaced(&text(files.root), r#""snapshot":{"#, r#""x":{"#);
    cases.push(case(
        Kind::Root,
        "root-without-snapshot-role",
        root.into_bytes(),
        refusal!(DocumentError::MissingRole { .. }),
    ));
    let snapshot = replaced(&text(files.snapshot), r#""root":{"#, r#""targets/x":{"#);
    cases.push(case(
        Kind::Snapshot,
        "snapshot-without-root",
        snapshot.into_bytes(),
        refusal!(DocumentError::MissingRole { .. }),
    ));
    cases
}
