//! From JSON of any form to canonical JSON, as Go's verifier does it before it checks a signature. What readers could
//! take in two ways is refused: names that stand twice, fractions, integers beyond 2^53, broken escapes.
use std::cmp::Ordering;
use std::ops::Range;

use super::INTEGER_LIMIT;
use crate::error::DocumentError;
use crate::limits;

/// The canonical form of a JSON text.
pub(crate) fn normalise(text: &[u8]) -> Result<Vec<u8>, DocumentError> {
    let text =
        std::str::from_utf8(text).map_err(|error| DocumentError::NotUtf8 { at: error.valid_up_to() })?;
    let mut state = Normaliser { text, at: 0, depth: 0, out: Vec::with_capacity(text.len()) };
    state.space();
    state.value()?;
    state.space();
    if state.at < text.len() {
        return Err(DocumentError::Trailing { at: state.at });
    }
    Ok(state.out)
}

struct Normaliser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    out: Vec<u8>,
}

/// One entry of an object in `out`: the name without its quotes, and the whole entry.
struct Entry {
    name: Range<usize>,
    whole: Range<usize>,
}

impl Normaliser<'_> {
    fn value(&mut self) -> Result<(), DocumentError> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(_) => Err(DocumentError::Syntax { at: self.at, expected: "a value" }),
            None => Err(DocumentError::CutOff),
        }
    }

    fn object(&mut self) -> Result<(), DocumentError> {
        self.enter()?;
        self.out.push(b'{');
        let start = self.out.len();
        let mut entries: Vec<Entry> = Vec::new();
        self.space();
        if !self.take(b'}') {
            loop {
                self.space();
                let from = self.out.len();
                if self.peek() != Some(b'"') {
                    return Err(self.expected("a name"));
                }
                self.string()?;
                let name = from + 1..self.out.len() - 1;
                self.space();
                self.expect(b':', "a colon")?;
                self.out.push(b':');
                self.space();
                self.value()?;
                entries.push(Entry { name, whole: from..self.out.len() });
                self.space();
                if !self.take(b',') {
                    self.expect(b'}', "a comma or the end of the object")?;
                    break;
                }
                self.out.push(b',');
            }
        }
        self.sort(start, entries)?;
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// Puts the entries written since `start` in order of their names, and finds names that stand twice.
    fn sort(&mut self, start: usize, mut entries: Vec<Entry>) -> Result<(), DocumentError> {
        let out = &self.out;
        let name = |entry: &Entry| out.get(entry.name.clone()).unwrap_or_default();
        let order = |left: &Entry, right: &Entry| compare(name(left), name(right));
        let sorted = entries.is_sorted_by(|left, right| order(left, right) == Ordering::Less);
        if sorted {
            return Ok(());
        }
        entries.sort_by(order);
        let twice = entries.windows(2).find(|pair| matches!(pair, [a, b] if order(a, b) == Ordering::Equal));
        if let Some([entry, ..]) = twice {
            return Err(DocumentError::Duplicate {
                field: String::from_utf8_lossy(name(entry)).into_owned(),
            });
        }
        let mut ordered = Vec::with_capacity(out.len() - start);
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                ordered.push(b',');
            }
            ordered.extend_from_slice(out.get(entry.whole.clone()).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&ordered);
        Ok(())
    }

    fn array(&mut self) -> Result<(), DocumentError> {
        self.enter()?;
        self.out.push(b'[');
        self.space();
        if !self.take(b']') {
            loop {
                self.space();
                self.value()?;
                self.space();
                if !self.take(b',') {
                    self.expect(b']', "a comma or the end of the array")?;
                    break;
                }
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), DocumentError> {
        self.at += 1;
        self.out.push(b'"');
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            self.out.extend_from_slice(self.text.as_bytes().get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.out.push(b'"');
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(DocumentError::Control { at: self.at }),
                None => return Err(DocumentError::CutOff),
            }
        }
    }

    fn escape(&mut self) -> Result<(), DocumentError> {
        let start = self.at;
        self.at += 1;
        let kind = self.peek().ok_or(DocumentError::CutOff)?;
        self.at += 1;
        let character = match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            // Line feeds and their like: canonical JSON would have to carry them raw, and no reader takes that.
            b'b' | b'f' | b'n' | b'r' | b't' => return Err(DocumentError::Control { at: start }),
            b'u' => self.unicode(start)?,
            _ => return Err(DocumentError::Syntax { at: start, expected: "an escape of JSON" }),
        };
        if character < ' ' {
            return Err(DocumentError::Control { at: start });
        }
        if matches!(character, '"' | '\\') {
            self.out.push(b'\\');
        }
        self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// The four digits after `\u`, and the second half of a pair.
    fn unicode(&mut self, start: usize) -> Result<char, DocumentError> {
        let broken = DocumentError::Syntax { at: start, expected: "a character of Unicode" };
        let first = self.four()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(broken);
                }
                let second = self.four()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(broken);
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or(broken)
    }

    fn four(&mut self) -> Result<u32, DocumentError> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or(DocumentError::CutOff)?;
            let digit = char::from(byte).to_digit(16);
            code = code * 16
                + digit.ok_or(DocumentError::Syntax { at: self.at, expected: "a hexadecimal digit" })?;
            self.at += 1;
        }
        Ok(code)
    }

    fn integer(&mut self) -> Result<(), DocumentError> {
        let start = self.at;
        self.take(b'-');
        let digits = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let text = self.text.get(digits..self.at).unwrap_or_default();
        let leading_zero = text.starts_with('0') && (text.len() > 1 || digits > start);
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(DocumentError::NotAnInteger { at: start });
        }
        if text.is_empty() || leading_zero {
            return Err(DocumentError::Syntax { at: start, expected: "an integer" });
        }
        if !text.parse::<u64>().is_ok_and(|number| number <= INTEGER_LIMIT) {
            return Err(DocumentError::IntegerTooBig { at: start });
        }
        self.out.extend_from_slice(self.text.as_bytes().get(start..self.at).unwrap_or_default());
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), DocumentError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            self.out.extend_from_slice(word.as_bytes());
            return Ok(());
        }
        if word.as_bytes().starts_with(rest) {
            return Err(DocumentError::CutOff);
        }
        Err(DocumentError::Syntax { at: self.at, expected: "a value" })
    }

    fn enter(&mut self) -> Result<(), DocumentError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > limits::DEPTH { Err(DocumentError::TooDeep { limit: limits::DEPTH }) } else { Ok(()) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), DocumentError> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn expected(&self, expected: &'static str) -> DocumentError {
        match self.peek() {
            Some(_) => DocumentError::Syntax { at: self.at, expected },
            None => DocumentError::CutOff,
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Orders two names by their bytes, given with the escapes of canonical JSON, which would sort otherwise.
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    unescaped(left).cmp(unescaped(right))
}

fn unescaped(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = name.iter().copied();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => bytes.next(),
        byte => Some(byte),
    })
}
