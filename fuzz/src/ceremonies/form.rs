//! The one form of plans and root key files, made from their content: so the fuzzer gets behind digests and white space.
use touchmark_tuf::Sha256Digest;

/// A file of this kind with this content and its digest.
pub(super) fn file_of(kind: Kind, content: &str) -> String {
    let content = compact(content);
    let sha256 = Sha256Digest::of(content.as_bytes());
    let (format, name) = match kind {
        Kind::Plan => ("touchmark-ceremony-plan/1", "plan"),
        Kind::RootKey => ("touchmark-root-key/1", "root_key"),
    };
    indented(&format!(r#"{{"format":"{format}","{name}":{content},"sha256":"{sha256}"}}"#))
}

/// Which file.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Plan,
    RootKey,
}

/// JSON without white space between its parts.
fn compact(json: &str) -> String {
    parts(json, |part, out| match part {
        ' ' | '\n' | '\r' | '\t' => {}
        other => out.push(other),
    })
}

/// JSON that has none, as `serde_json` writes it for people.
fn indented(json: &str) -> String {
    let mut depth = 0;
    let line = |out: &mut String, depth: usize| *out += &format!("\n{}", "  ".repeat(depth));
    let mut text = parts(json, |part, out| match part {
        '{' | '[' => {
            depth += 1;
            out.push(part);
            line(out, depth);
        }
        '}' | ']' => {
            depth -= 1;
            if out.trim_end().ends_with(['{', '[']) {
                out.truncate(out.trim_end().len());
            } else {
                line(out, depth);
            }
            out.push(part);
        }
        ',' => {
            out.push(part);
            line(out, depth);
        }
        ':' => *out += ": ",
        other => out.push(other),
    });
    text.push('\n');
    text
}

/// Each character outside of strings goes through `each`; strings stay as they are.
fn parts(json: &str, mut each: impl FnMut(char, &mut String)) -> String {
    let (mut out, mut is_text, mut is_escaped) = (String::with_capacity(json.len()), false, false);
    for part in json.chars() {
        if !is_text {
            is_text = part == '"';
            each(part, &mut out);
            continue;
        }
        out.push(part);
        is_text = is_escaped || part != '"';
        is_escaped = !is_escaped && part == '\\';
    }
    out
}
