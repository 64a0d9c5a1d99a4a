//! DER elements, written by hand.

/// One element: tag, length, content.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(len @ 0..=0x7f) => out.push(len),
        _ => {
            let length = content.len().to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let used = length.get(zeros..).unwrap_or_default();
            out.extend(u8::try_from(used.len()).map(|len| 0x80 | len));
            out.extend_from_slice(used);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A positive INTEGER.
pub(super) fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut content = number.get(zeros..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|byte| *byte >= 0x80) {
        content.insert(0, 0);
    }
    element(0x02, &content)
}
