//! Canonical JSON as Notary's Go code writes it (the OLPC form): no white space, names sorted by their bytes, integers
//! only, `\` and `"` the only escapes. A writer, a reader that takes this form alone, and the way into it from JSON.
mod normalise;
mod reader;

pub(crate) use self::normalise::normalise;
pub use self::reader::Reader;
pub(crate) use self::reader::Unknown;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::document::Document;
use crate::error::ExactError;

/// The largest integer that every reader understands: Notary's goes through doubles.
pub(crate) const INTEGER_LIMIT: u64 = 1 << 53;

/// Reads a document for signing: only when `signed` is, byte for byte, what writing the document gives. So nothing in
/// it was overlooked: no unknown field, no name twice or in another case, no number or date in another form.
///
/// # Errors
/// `ExactError::Document` with the rule that is broken, `ExactError::Differs` where only writing shows it.
pub fn exact<D: Document>(signed: &[u8]) -> Result<D, ExactError> {
    let mut reader = Reader::new(signed, D::LIMIT, Unknown::Refuse)?;
    let document = D::read(&mut reader)?;
    reader.end()?;
    let mut comparison = Comparison { expected: signed, at: 0, differs: false };
    document.write_to(&mut Writer::new(&mut comparison));
    if comparison.differs || comparison.at != signed.len() {
        return Err(ExactError::Differs { at: comparison.at });
    }
    Ok(document)
}

/// Where written bytes go.
pub(crate) trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Compares what is written with what should be, and keeps none of it: documents may have megabytes.
struct Comparison<'a> {
    expected: &'a [u8],
    at: usize,
    differs: bool,
}

impl Sink for Comparison<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if self.differs {
            return;
        }
        let rest = self.expected.get(self.at..).unwrap_or_default();
        let same = rest.iter().zip(bytes).take_while(|(left, right)| left == right).count();
        self.at += same;
        self.differs = same < bytes.len();
    }
}

/// Writes canonical JSON. Structure and field names come as text from the document's code, values through the methods.
pub struct Writer<'s> {
    sink: &'s mut dyn Sink,
}

impl<'s> Writer<'s> {
    pub(crate) fn new(sink: &'s mut dyn Sink) -> Self {
        Self { sink }
    }

    /// Text as it stands.
    pub(crate) fn raw(&mut self, text: &str) {
        self.sink.put(text.as_bytes());
    }

    /// A text between quotes.
    pub(crate) fn string(&mut self, text: &str) {
        self.raw("\"");
        let mut rest = text;
        while let Some(at) = rest.find(['"', '\\']) {
            let (plain, special) = rest.split_at(at);
            let (special, after) = special.split_at(1);
            self.raw(plain);
            self.raw("\\");
            self.raw(special);
            rest = after;
        }
        self.raw(rest);
        self.raw("\"");
    }

    /// A text between quotes, of characters that need no escape: ids, times.
    pub(crate) fn plain(&mut self, text: &impl std::fmt::Display) {
        self.raw(&format!("\"{text}\""));
    }

    pub(crate) fn integer(&mut self, number: u64) {
        self.raw(&number.to_string());
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// Bytes as padded base64 between quotes.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        self.raw(&format!("\"{}\"", STANDARD.encode(bytes)));
    }

    /// Items with commas between them.
    pub(crate) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            each(self, item);
        }
    }
}

/// Go's fold of a field name, as far as it can meet the names that documents have: ASCII letters, and the two
/// characters beyond ASCII whose other case lies in it (U+017F is a long s, U+212A the Kelvin sign).
pub(crate) fn folded(name: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

#[cfg(test)]
mod tests;
