use clap::Parser as _;

use super::*;
use crate::args::Args;

#[test]
fn json_is_ascii_and_means_the_same() {
    let value = json!({ "tag": "a\u{202e}b\u{7f}\u{1f600}\t" });
    let text = to_json(&value);
    assert!(text.is_ascii() && !text.contains('\u{7f}'), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
    assert!(written(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
    assert_eq!(written(Err(io::ErrorKind::StorageFull.into())).unwrap_err().exit_code(), 2);
}

#[test]
fn a_line_that_cannot_be_parsed_is_answered_as_it_asks() {
    for (line, json) in [
        (&["touchmark", "verify", "--nope"][..], false),
        (&["touchmark", "verify", "--format", "json", "--nope"], true),
        (&["touchmark", "--format=json", "nope"], true),
    ] {
        let line: Vec<OsString> = line.iter().map(OsString::from).collect();
        let out = Output::before_parsing(&line, &Environment::default());
        assert_eq!(out.is_json(), json, "{line:?}");
        let error = out.usage(&Args::try_parse_from(&line).unwrap_err()).unwrap_err();
        assert_eq!((error.exit_code(), error.message.starts_with("error")), (2, false), "{}", error.message);
    }
}
