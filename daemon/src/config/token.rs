//! `[[token]]`: which module, which token in it, where its PIN comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use toml::Spanned;

use super::error::Reading;
use super::{ConfigError, written};
use crate::token::{TokenConfig, TokenKind};

/// One `[[token]]` as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// How people call it.
    pub name: String,
    /// The PKCS#11 module, absolute.
    pub module: PathBuf,
    /// `CK_TOKEN_INFO.label`, without its padding.
    pub label: String,
    /// `CK_TOKEN_INFO.serialNumber`, without its padding.
    pub serial: Option<String>,
    /// The environment of its helper process.
    pub env: BTreeMap<String, String>,
    /// Where its PIN comes from.
    pub pin: PinSource,
}

impl TokenEntry {
    /// As the token room takes it.
    #[must_use]
    pub fn token(&self) -> TokenConfig {
        let kind = TokenKind::Pkcs11 {
            module: self.module.clone(),
            label: self.label.clone(),
            serial: self.serial.clone(),
        };
        TokenConfig { name: self.name.clone(), kind, env: self.env.clone() }
    }
}

/// Where a token's PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// A person types it.
    Ask,
    /// A systemd credential of this unit.
    Credential(String),
    /// A file, absolute.
    File(PathBuf),
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask => f.write_str("ask"),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Whether PINs may lie in files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PinFiles {
    Allowed,
    Refused,
}

pub(super) fn read(
    reading: &Reading<'_>,
    written: &written::Token,
    files: PinFiles,
) -> Result<TokenEntry, ConfigError> {
    let name = written.name.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let reason = format!("`{}` is no name; use letters, digits, - _ .", name.escape_debug());
        return Err(reading.at(written.name.span(), "token.name", reason));
    }
    if written.kind.get_ref() != "pkcs11" {
        let reason = match written.kind.get_ref().as_str() {
            "yubikey" => "this version reaches YubiKeys by kind = \"pkcs11\" with libykcs11.so".to_owned(),
            other => format!("there is no kind `{other}`; there is \"pkcs11\""),
        };
        return Err(reading.at(written.kind.span(), "token.kind", reason));
    }
    let Some(module) = &written.module else {
        let reason = format!("token `{name}` has no module; write module = \"/path/to/module.so\"");
        return Err(reading.at(written.name.span(), "token.module", reason));
    };
    let Some(label) = &written.token_label else {
        let reason =
            format!("token `{name}` could be any token of the module; write token-label = \"LABEL\"");
        return Err(reading.at(written.name.span(), "token.token-label", reason));
    };
    Ok(TokenEntry {
        name: name.clone(),
        module: reading.path("token.module", module)?,
        label: self::label(reading, label)?,
        serial: serial(reading, written)?,
        env: environment(reading, written)?,
        pin: pin(reading, written, files)?,
    })
}

/// PKCS#11 v2.40 section 3.2: labels have 32 bytes, serial numbers 16.
fn label(reading: &Reading<'_>, label: &Spanned<String>) -> Result<String, ConfigError> {
    let text = label.get_ref();
    if text.is_empty() || text.len() > 32 {
        let reason = format!("`{text}` is not 1 to 32 bytes long");
        return Err(reading.at(label.span(), "token.token-label", reason));
    }
    Ok(text.clone())
}

fn serial(reading: &Reading<'_>, written: &written::Token) -> Result<Option<String>, ConfigError> {
    let Some(serial) = &written.serial else { return Ok(None) };
    let text = match serial.get_ref() {
        written::Serial::Number(number) => number.to_string(),
        written::Serial::Text(text) => text.clone(),
    };
    if text.is_empty() || text.len() > 16 {
        return Err(reading.at(serial.span(), "token.serial", format!("`{text}` is not 1 to 16 bytes long")));
    }
    Ok(Some(text))
}

fn environment(
    reading: &Reading<'_>,
    written: &written::Token,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut variables = BTreeMap::new();
    for (name, value) in &written.env {
        let sound = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !sound || value.get_ref().contains('\0') {
            let reason = format!("`{}` cannot be an environment variable", name.escape_debug());
            return Err(reading.at(value.span(), "token.env", reason));
        }
        variables.insert(name.clone(), value.get_ref().clone());
    }
    Ok(variables)
}

fn pin(reading: &Reading<'_>, written: &written::Token, files: PinFiles) -> Result<PinSource, ConfigError> {
    let Some(pin) = &written.pin else { return Ok(PinSource::Ask) };
    let refuse = |reason: String| reading.at(pin.span(), "token.pin", reason);
    let source = match pin.get_ref() {
        written::Pin::Source(text) => text.as_str(),
        written::Pin::Else(_) => "",
    };
    match source.split_once(':') {
        None if source == "ask" => Ok(PinSource::Ask),
        Some(("credential", name)) if !name.is_empty() && !name.contains('/') => {
            Ok(PinSource::Credential(name.to_owned()))
        }
        Some(("file", path)) => {
            let path = super::error::absolute(path).map_err(refuse)?;
            match files {
                PinFiles::Allowed => Ok(PinSource::File(path)),
                PinFiles::Refused => Err(refuse(
                    "a PIN in a file is a PIN for whoever reads the disk; write allow-pin-file = true to \
                     have it all the same, or use \"credential:NAME\""
                        .to_owned(),
                )),
            }
        }
        // The text itself is not shown: it may be the PIN.
        _ => Err(refuse(
            "is not \"ask\", \"credential:NAME\" or \"file:/PATH\" (a PIN has no place here)".to_owned(),
        )),
    }
}
