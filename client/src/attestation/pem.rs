//! Certificates in PEM (RFC 7468), with whatever text stands between them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HEAD: &str = "-----BEGIN CERTIFICATE-----";
const TAIL: &str = "-----END CERTIFICATE-----";

/// The certificates in a text, DER. `None`: one is cut off or is not base64.
pub(super) fn blocks(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for block in text.split(HEAD).skip(1) {
        let (body, _) = block.split_once(TAIL)?;
        let body: String = body.split_ascii_whitespace().collect();
        found.push(STANDARD.decode(body).ok()?);
    }
    Some(found)
}

/// One certificate as such a block.
pub fn write(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: String =
        body.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("{HEAD}\n{lines}{TAIL}\n")
}
