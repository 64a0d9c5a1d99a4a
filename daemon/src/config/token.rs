//! `[[token]]`: what kind, which token of that kind, where its PIN comes from.

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
    /// What it is and which one; the module's path is absolute.
    pub kind: TokenKind,
    /// The environment of its helper process.
    pub env: BTreeMap<String, String>,
    /// Where its PIN comes from.
    pub pin: PinSource,
}

impl TokenEntry {
    /// As the token room takes it.
    #[must_use]
    pub fn token(&self) -> TokenConfig {
        TokenConfig { name: self.name.clone(), kind: self.kind.clone(), env: self.env.clone() }
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
    let kind = match written.kind.get_ref().as_str() {
        "pkcs11" => pkcs11(reading, written)?,
        "yubikey" => yubikey(reading, written, Yubikeys::of_this_build())?,
        other => {
            let reason = format!("there is no kind `{other}`; there are \"pkcs11\" and \"yubikey\"");
            return Err(reading.at(written.kind.span(), "token.kind", reason));
        }
    };
    Ok(TokenEntry {
        name: name.clone(),
        kind,
        env: environment(reading, written)?,
        pin: pin(reading, written, files)?,
    })
}

fn pkcs11(reading: &Reading<'_>, written: &written::Token) -> Result<TokenKind, ConfigError> {
    let name = written.name.get_ref();
    let Some(module) = &written.module else {
        let reason = format!("token `{name}` has no module; write module = \"/path/to/module.so\"");
        return Err(reading.at(written.name.span(), "token.module", reason));
    };
    let Some(label) = &written.token_label else {
        let reason =
            format!("token `{name}` could be any token of the module; write token-label = \"LABEL\"");
        return Err(reading.at(written.name.span(), "token.token-label", reason));
    };
    let module = reading.path("token.module", module)?;
    Ok(TokenKind::Pkcs11 { module, label: label_of(reading, label)?, serial: serial(reading, written)? })
}

/// Whether a build has the provider for YubiKeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yubikeys {
    BuiltIn,
    LeftOut,
}

impl Yubikeys {
    const fn of_this_build() -> Self {
        if TokenKind::KNOWS_YUBIKEYS { Self::BuiltIn } else { Self::LeftOut }
    }
}

pub(super) fn yubikey(
    reading: &Reading<'_>,
    written: &written::Token,
    known: Yubikeys,
) -> Result<TokenKind, ConfigError> {
    let name = written.name.get_ref();
    if known == Yubikeys::LeftOut {
        let reason = "this touchmarkd was built without YubiKeys (its feature `yubikey`)";
        return Err(reading.at(written.kind.span(), "token.kind", reason));
    }
    let env = written.env.values().next().map(Spanned::span);
    let others = [
        ("token.module", written.module.as_ref().map(Spanned::span)),
        ("token.token-label", written.token_label.as_ref().map(Spanned::span)),
        ("token.env", env),
    ];
    if let Some((field, span)) = others.into_iter().find_map(|(field, span)| Some((field, span?))) {
        return Err(reading.at(span, field, "is for PKCS#11 modules; a YubiKey has its serial alone"));
    }
    let Some(serial) = &written.serial else {
        let reason = format!("token `{name}` could be any YubiKey; write serial = NUMBER, as printed on it");
        return Err(reading.at(written.name.span(), "token.serial", reason));
    };
    let number = match serial.get_ref() {
        written::Serial::Number(number) => u32::try_from(*number).ok(),
        written::Serial::Text(_) => None,
    };
    match number.filter(|number| *number > 0) {
        Some(serial) => Ok(TokenKind::Yubikey { serial }),
        None => {
            let reason = "is no YubiKey's serial number; write the digits that are printed on it, unquoted";
            Err(reading.at(serial.span(), "token.serial", reason))
        }
    }
}

/// PKCS#11 v2.40 section 3.2: labels have 32 bytes, serial numbers 16.
fn label_of(reading: &Reading<'_>, label: &Spanned<String>) -> Result<String, ConfigError> {
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
