//! The strict reader: takes canonical JSON and nothing else, in one pass, without building a tree.
use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{INTEGER_LIMIT, folded};
use crate::error::{DocumentError, ValueError};
use crate::limits;

/// What to do with fields that the document's kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Refuse the document: it is to be signed.
    Refuse,
    /// Pass over them: the signature covers them.
    Skip,
}

/// Reads canonical JSON value by value. Made by this crate; documents read themselves from it.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    unknown: Unknown,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], limit: usize, unknown: Unknown) -> Result<Self, DocumentError> {
        if bytes.len() > limit {
            return Err(DocumentError::TooLarge { size: bytes.len(), limit });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|error| DocumentError::NotUtf8 { at: error.valid_up_to() })?;
        Ok(Self { text, at: 0, depth: 0, unknown })
    }

    /// Whether unknown things are passed over.
    pub(crate) fn skips_unknown(&self) -> bool {
        self.unknown == Unknown::Skip
    }

    /// The offset of the next byte.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), DocumentError> {
        if self.at < self.text.len() { Err(DocumentError::Trailing { at: self.at }) } else { Ok(()) }
    }

    /// An object with the fields of a Go struct. `each` gets every known field once, in order, and must read its value.
    pub(crate) fn fields(
        &mut self,
        known: &[&'static str],
        mut each: impl FnMut(&mut Self, &'static str) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        let refuses = self.unknown == Unknown::Refuse;
        let mut others = Vec::new();
        self.entries("an object", |reader, name| {
            if let Some(field) = known.iter().find(|field| **field == name) {
                return each(reader, field);
            }
            let fold = folded(&name);
            let same = known.iter().find(|field| **field == fold);
            let same = same
                .map(|field| (*field).to_owned())
                .or_else(|| others.contains(&fold).then(|| fold.clone()));
            match same {
                Some(of) => Err(DocumentError::CaseVariant { field: name.into_owned(), of }),
                None if refuses => Err(DocumentError::UnknownField { field: name.into_owned() }),
                None if others.len() >= limits::KEYS => {
                    Err(DocumentError::TooMany { what: "unknown fields", limit: limits::KEYS })
                }
                None => {
                    others.push(fold);
                    reader.value().map(drop)
                }
            }
        })
    }

    /// An object that is a map. `each` gets every name once, sorted, and must read its value. `null` is an empty map.
    pub(crate) fn map(
        &mut self,
        what: &'static str,
        limit: usize,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        if self.null() {
            return Ok(());
        }
        let mut count = 0;
        self.entries("an object", |reader, name| {
            count += 1;
            if count > limit {
                return Err(DocumentError::TooMany { what, limit });
            }
            each(reader, name)
        })
    }

    /// An array. `each` must read one item. `null` is an empty array.
    pub(crate) fn array(
        &mut self,
        what: &'static str,
        limit: usize,
        mut each: impl FnMut(&mut Self) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        if self.null() {
            return Ok(());
        }
        self.open(b'[', "an array")?;
        if !self.take(b']') {
            let mut count = 0;
            loop {
                count += 1;
                if count > limit {
                    return Err(DocumentError::TooMany { what, limit });
                }
                each(self)?;
                if !self.comma(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// A text.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, DocumentError> {
        self.expect(b'"', "a text")?;
        let start = self.at;
        let mut text = Cow::Borrowed("");
        let mut from = start;
        loop {
            match self.peek().ok_or(DocumentError::CutOff)? {
                b'"' => {
                    let part = self.slice(from, self.at);
                    self.at += 1;
                    if from == start {
                        return Ok(Cow::Borrowed(part));
                    }
                    text.to_mut().push_str(part);
                    return Ok(text);
                }
                b'\\' => {
                    text.to_mut().push_str(self.slice(from, self.at));
                    let escaped = self.text.as_bytes().get(self.at + 1).ok_or(DocumentError::CutOff)?;
                    if !matches!(escaped, b'"' | b'\\') {
                        let cause = "only \\\\ and \\\" are escaped";
                        return Err(DocumentError::NotCanonical { at: self.at, cause });
                    }
                    from = self.at + 1;
                    self.at += 2;
                }
                0..=0x1f => return Err(DocumentError::Control { at: self.at }),
                _ => self.at += 1,
            }
        }
    }

    /// An integer from 0 to 2^53.
    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u64, DocumentError> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| DocumentError::Value { field, cause: ValueError::Number })
    }

    /// An integer from -2^53 to 2^53.
    fn integer(&mut self) -> Result<i64, DocumentError> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let text = self.slice(digits, self.at);
        match (text, self.peek()) {
            ("", None) => return Err(DocumentError::CutOff),
            ("", Some(_)) => return Err(DocumentError::WrongKind { at: start, expected: "an integer" }),
            (_, Some(b'.' | b'e' | b'E')) => return Err(DocumentError::NotAnInteger { at: start }),
            ("0", _) if negative => {
                return Err(DocumentError::NotCanonical { at: start, cause: "zero has no sign" });
            }
            (text, _) if text.len() > 1 && text.starts_with('0') => {
                return Err(DocumentError::NotCanonical {
                    at: start,
                    cause: "an integer has no leading zero",
                });
            }
            _ => {}
        }
        match text.parse::<u64>() {
            Ok(number) if number <= INTEGER_LIMIT => {
                let number = i64::try_from(number).map_err(|_| DocumentError::IntegerTooBig { at: start })?;
                Ok(if negative { -number } else { number })
            }
            _ => Err(DocumentError::IntegerTooBig { at: start }),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool, DocumentError> {
        if self.word("true") {
            Ok(true)
        } else if self.word("false") {
            Ok(false)
        } else {
            Err(self.wrong("true or false"))
        }
    }

    /// Takes `null` if it comes next.
    pub(crate) fn null(&mut self) -> bool {
        self.word("null")
    }

    /// Padded base64 of exactly `N` bytes.
    pub(crate) fn base64<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DocumentError> {
        let bytes = self.bytes(field, N)?;
        let found = bytes.len();
        bytes
            .try_into()
            .map_err(|_| DocumentError::Value { field, cause: ValueError::Length { expected: N, found } })
    }

    /// Padded base64 of at most `limit` bytes.
    pub(crate) fn bytes(&mut self, field: &'static str, limit: usize) -> Result<Vec<u8>, DocumentError> {
        let text = self.string()?;
        if text.len() / 4 * 3 > limit + 2 {
            return Err(DocumentError::Value { field, cause: ValueError::TooLong { limit } });
        }
        STANDARD
            .decode(text.as_bytes())
            .map_err(|_| DocumentError::Value { field, cause: ValueError::Base64 })
    }

    /// Any value, whatever its names are; something else reads it later.
    pub(crate) fn skip(&mut self) -> Result<(), DocumentError> {
        match self.peek() {
            Some(b'{') => self.entries("an object", |reader, _| reader.skip()),
            Some(b'[') => self.array("items", usize::MAX, Self::skip),
            _ => self.value().map(drop),
        }
    }

    /// Any value: its text. No two names in one of its objects may differ in case only.
    pub(crate) fn value(&mut self) -> Result<&'a str, DocumentError> {
        let start = self.at;
        match self.peek().ok_or(DocumentError::CutOff)? {
            b'{' => {
                let mut names = Vec::new();
                self.entries("an object", |reader, name| {
                    names.push((folded(&name), name));
                    reader.value().map(drop)
                })?;
                names.sort_unstable();
                let same = names.windows(2).find(|pair| matches!(pair, [(one, _), (two, _)] if one == two));
                if let Some([(_, of), (_, field)]) = same {
                    return Err(DocumentError::CaseVariant { field: field.to_string(), of: of.to_string() });
                }
            }
            b'[' => self.array("items", usize::MAX, |reader| reader.value().map(drop))?,
            b'"' => drop(self.string()?),
            b'-' | b'0'..=b'9' => drop(self.integer()?),
            b'n' if self.null() => {}
            _ => drop(self.boolean()?),
        }
        Ok(self.slice(start, self.at))
    }

    /// The names of an object must rise by their bytes, so a name that stands twice is seen here.
    fn entries(
        &mut self,
        expected: &'static str,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), DocumentError>,
    ) -> Result<(), DocumentError> {
        self.open(b'{', expected)?;
        if !self.take(b'}') {
            let mut last: Option<Cow<'a, str>> = None;
            loop {
                let at = self.at;
                let name = self.string()?;
                match &last {
                    Some(last) if *last == name => {
                        return Err(DocumentError::Duplicate { field: name.into_owned() });
                    }
                    Some(last) if *last > name => {
                        return Err(DocumentError::NotCanonical { at, cause: "the names are not in order" });
                    }
                    _ => {}
                }
                self.expect(b':', "a colon")?;
                each(self, name.clone())?;
                last = Some(name);
                if !self.comma(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn open(&mut self, byte: u8, expected: &'static str) -> Result<(), DocumentError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > limits::DEPTH { Err(DocumentError::TooDeep { limit: limits::DEPTH }) } else { Ok(()) }
    }

    /// After an item: whether another one follows, or the end.
    fn comma(&mut self, end: u8) -> Result<bool, DocumentError> {
        if self.take(b',') {
            Ok(true)
        } else {
            self.expect(end, "a comma or the end of the object or array").map(|()| false)
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), DocumentError> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            _ if expected == "a text" => Err(self.wrong(expected)),
            Some(b' ' | b'\t' | b'\r' | b'\n') => {
                Err(DocumentError::NotCanonical { at: self.at, cause: "white space between values" })
            }
            Some(_) => Err(DocumentError::Syntax { at: self.at, expected }),
            None => Err(DocumentError::CutOff),
        }
    }

    /// What stands here is no value of that kind, or no value in canonical form at all.
    fn wrong(&self, expected: &'static str) -> DocumentError {
        match self.peek() {
            None => DocumentError::CutOff,
            Some(b' ' | b'\t' | b'\r' | b'\n') => {
                DocumentError::NotCanonical { at: self.at, cause: "white space between values" }
            }
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                DocumentError::WrongKind { at: self.at, expected }
            }
            Some(_) => DocumentError::Syntax { at: self.at, expected },
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if found {
            self.at += word.len();
        }
        found
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }
}
