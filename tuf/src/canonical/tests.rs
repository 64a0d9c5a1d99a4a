use super::*;
use crate::error::DocumentError;
use crate::limits;

fn canonical(text: &str) -> Result<String, DocumentError> {
    normalise(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What the strict reader makes of any value.
fn strict(text: &str) -> Result<&str, DocumentError> {
    let mut reader = Reader::new(text.as_bytes(), usize::MAX, Unknown::Refuse)?;
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

#[test]
fn any_json_becomes_canonical() {
    for (from, to) in [
        (" { \"b\" : 1 , \"a\" : [ true , false , null ] } ", r#"{"a":[true,false,null],"b":1}"#),
        (r#"{"a":"\u0041\u00e9\ud83d\ude00\/\"\\"}"#, r#"{"a":"Aé😀/\"\\"}"#),
        (r#""\u2028\u003c""#, "\"\u{2028}<\""),
        (r#"{"b":{"d":1,"c":{}},"a":[]}"#, r#"{"a":[],"b":{"c":{},"d":1}}"#),
        ("[-1,0,9007199254740992]", "[-1,0,9007199254740992]"),
        ("{}", "{}"),
    ] {
        assert_eq!(canonical(from).as_deref(), Ok(to), "{from}");
        assert_eq!(strict(to), Ok(to));
    }
}

#[test]
fn names_are_sorted_as_bytes_without_their_escapes() {
    // `"` (0x22) is written with a backslash (0x5c), and still comes before `#` (0x23).
    let sorted = r##"{"\"":1,"#":2,"A":3,"\\":4,"b":5,"é":6,"€":7,"😀":8}"##;
    let reversed = r##"{"😀":8,"€":7,"é":6,"b":5,"\\":4,"A":3,"#":2,"\"":1}"##;
    assert_eq!(canonical(reversed).as_deref(), Ok(sorted));
    assert_eq!(strict(sorted), Ok(sorted));
    assert!(matches!(strict(reversed), Err(DocumentError::NotCanonical { .. })));
}

#[test]
fn what_readers_could_take_in_two_ways_is_refused() {
    let duplicate = |field: &str| Err(DocumentError::Duplicate { field: field.to_owned() });
    assert_eq!(canonical(r#"{"a":1,"a":1}"#), duplicate("a"));
    assert_eq!(canonical(r#"{"a":1,"b":2,"\u0061":3}"#), duplicate("a"));
    assert_eq!(canonical(r#"[{"x":{"a":1,"a":1}}]"#), duplicate("a"));
    assert_eq!(strict(r#"{"a":1,"a":1}"#), Err(DocumentError::Duplicate { field: "a".to_owned() }));
    for text in ["1.0", "1e3", "1E3", "0.5", "-1.5"] {
        assert_eq!(canonical(text), Err(DocumentError::NotAnInteger { at: 0 }), "{text}");
        assert_eq!(strict(text), Err(DocumentError::NotAnInteger { at: 0 }), "{text}");
    }
    for text in ["9007199254740993", "-9007199254740993", "99999999999999999999999999"] {
        assert_eq!(canonical(text), Err(DocumentError::IntegerTooBig { at: 0 }), "{text}");
        assert_eq!(strict(text), Err(DocumentError::IntegerTooBig { at: 0 }), "{text}");
    }
    for text in ["\"\t\"", "\"\u{0}\"", r#""\n""#, r#""\u001f""#, r#""\u0000""#, r#""\b""#] {
        assert!(matches!(canonical(text), Err(DocumentError::Control { .. })), "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let broken = [
        "nul", "tru", "{", "[", "\"", "\"\\", "\"\\u00", "{\"a\"", "{\"a\":", "{\"a\":1", "[1", "[1,", "-",
        "",
    ];
    for text in broken {
        assert!(
            matches!(canonical(text), Err(DocumentError::CutOff | DocumentError::Syntax { .. })),
            "{text}: {:?}",
            canonical(text)
        );
        assert!(strict(text).is_err(), "{text}");
    }
    for text in [
        "{,}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{a:1}",
        "{'a':1}",
        "01",
        "-0",
        "+1",
        ".5",
        "0x1",
        "NaN",
        "truth",
        r#""\x""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\udc00""#,
        r#""\u00g0""#,
        "[1 2]",
        "{\"a\" 1}",
        "/**/1",
    ] {
        assert!(
            matches!(canonical(text), Err(DocumentError::Syntax { .. } | DocumentError::Trailing { .. })),
            "{text}: {:?}",
            canonical(text)
        );
        assert!(strict(text).is_err(), "{text}");
    }
    assert_eq!(canonical("1 1"), Err(DocumentError::Trailing { at: 2 }));
    assert_eq!(normalise(b"\"\xff\""), Err(DocumentError::NotUtf8 { at: 1 }));
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = DocumentError::TooDeep { limit: limits::DEPTH };
    assert!(canonical(&nested(limits::DEPTH)).is_ok());
    assert!(strict(&nested(limits::DEPTH)).is_ok());
    assert_eq!(canonical(&nested(limits::DEPTH + 1)), Err(deep.clone()));
    assert_eq!(strict(&nested(limits::DEPTH + 1)), Err(deep.clone()));
    assert_eq!(canonical(&"{\"a\":".repeat(1_000_000)), Err(deep));
}

#[test]
fn the_strict_reader_takes_canonical_form_alone() {
    for text in [
        "{ }",
        "[ ]",
        "[1, 2]",
        "{\"a\": 1}",
        "{\"a\" :1}",
        " 1",
        "1 ",
        "1\n",
        r#""\u0041""#,
        r#""\/""#,
        "[1,2 ]",
        "-0",
        "00",
        r#"{"b":1,"a":1}"#,
    ] {
        assert!(
            matches!(strict(text), Err(DocumentError::NotCanonical { .. } | DocumentError::Trailing { .. })),
            "{text}: {:?}",
            strict(text)
        );
    }
}

#[test]
fn names_that_go_takes_for_one_another_are_refused() {
    assert_eq!(folded("\u{212a}EY\u{17f}"), "keys");
    for text in [r#"{"A":1,"a":2}"#, "{\"keys\":1,\"key\u{17f}\":2}", "{\"k\":1,\"\u{212a}\":2}"] {
        assert!(matches!(strict(text), Err(DocumentError::CaseVariant { .. })), "{text}");
    }
    let fields = |text: &str, unknown| {
        let mut reader = Reader::new(text.as_bytes(), usize::MAX, unknown)?;
        reader.fields(&["keys"], |reader, _| reader.value().map(drop))
    };
    for text in ["{\"Keys\":1}", "{\"keys\":1,\"\u{212a}eys\":2}", "{\"key\u{17f}\":2}"] {
        for unknown in [Unknown::Refuse, Unknown::Skip] {
            assert!(matches!(fields(text, unknown), Err(DocumentError::CaseVariant { .. })), "{text}");
        }
    }
    assert!(matches!(
        fields("{\"Other\":1,\"other\":2}", Unknown::Skip),
        Err(DocumentError::CaseVariant { .. })
    ));
    assert_eq!(fields("{\"other\":1}", Unknown::Skip), Ok(()));
    assert_eq!(
        fields("{\"other\":1}", Unknown::Refuse),
        Err(DocumentError::UnknownField { field: "other".to_owned() })
    );
}

#[test]
fn texts_are_written_with_two_escapes_alone() {
    let mut bytes: Vec<u8> = Vec::new();
    let mut out = Writer::new(&mut bytes);
    out.string("a\"b\\c/é\u{2028}<>&");
    out.string("");
    assert_eq!(String::from_utf8(bytes).unwrap(), "\"a\\\"b\\\\c/é\u{2028}<>&\"\"\"");
}
