//! What is wrong with a configuration: file, line, field, reason.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::units;

/// The first thing wrong with a configuration. A retry helps only after the file was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    file: Option<PathBuf>,
    line: Option<usize>,
    field: Option<String>,
    reason: String,
}

impl ConfigError {
    /// About a file as a whole.
    pub(super) fn file(path: &Path, reason: String) -> Self {
        Self { file: Some(path.to_path_buf()), line: None, field: None, reason }
    }

    /// About a value that no file has: a default that cannot be found.
    pub(super) fn missing(file: Option<&Path>, field: &str, reason: &str) -> Self {
        Self {
            file: file.map(Path::to_path_buf),
            line: None,
            field: Some(field.to_owned()),
            reason: reason.to_owned(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("configuration")?,
        }
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A file while it is read: knows how to point at a place in it.
pub(super) struct Reading<'a> {
    pub(super) text: &'a str,
    pub(super) file: Option<&'a Path>,
}

impl Reading<'_> {
    /// An error at `span`.
    pub(super) fn at(&self, span: Range<usize>, field: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.map(Path::to_path_buf),
            line: Some(self.line(span.start)),
            field: Some(field.to_owned()),
            reason: reason.into(),
        }
    }

    /// What the TOML reader says: syntax, unknown fields, wrong types.
    pub(super) fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        ConfigError {
            file: self.file.map(Path::to_path_buf),
            line: error.span().map(|span| self.line(span.start)),
            field: None,
            reason: error.message().to_owned(),
        }
    }

    /// A length of time with its unit.
    pub(super) fn duration(&self, field: &str, value: &Spanned<String>) -> Result<Duration, ConfigError> {
        units::duration(value.get_ref()).map_err(|reason| self.at(value.span(), field, reason))
    }

    /// An absolute path.
    pub(super) fn path(&self, field: &str, value: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        absolute(value.get_ref()).map_err(|reason| self.at(value.span(), field, reason))
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// An absolute path without `..`; the reason where it is not one.
pub(super) fn absolute(written: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(written);
    if !path.is_absolute() {
        return Err(format!("`{written}` is a relative path; write it from / on"));
    }
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(format!("`{written}` goes through `..`; write it straight"));
    }
    Ok(path)
}
