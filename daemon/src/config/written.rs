//! The file as written: names and shapes only, no meaning. Spans are kept for messages.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

/// The whole file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    pub(super) socket: Option<Spanned<String>>,
    pub(super) socket_group: Option<Spanned<String>>,
    pub(super) state: Option<Spanned<String>>,
    pub(super) lock_after: Option<Spanned<String>>,
    pub(super) unlock_at_most: Option<Spanned<String>>,
    pub(super) lock_on_sleep: Option<bool>,
    pub(super) max_expiry: Option<MaxExpiry>,
    #[serde(default)]
    pub(super) allow_pin_file: bool,
    #[serde(default)]
    pub(super) token: Vec<Token>,
    #[serde(default)]
    pub(super) allow: Vec<Allow>,
}

/// `max-expiry`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MaxExpiry {
    pub(super) root: Option<Spanned<String>>,
    pub(super) targets: Option<Spanned<String>>,
}

/// One `[[token]]`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Token {
    pub(super) name: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) module: Option<Spanned<String>>,
    pub(super) token_label: Option<Spanned<String>>,
    pub(super) serial: Option<Spanned<Serial>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
    pub(super) pin: Option<Spanned<Pin>>,
}

/// Where a PIN comes from; or something else, which is not looked at, as it may be the PIN: what the reader of TOML says
/// about a wrong type would show it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Pin {
    Source(String),
    Else(IgnoredAny),
}

/// A serial number: digits without quotes, or a text for tokens whose serials have letters.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Serial {
    Number(u64),
    Text(String),
}

/// One `[[allow]]`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Allow {
    pub(super) user: Option<Spanned<String>>,
    pub(super) group: Option<Spanned<String>>,
    pub(super) repositories: Spanned<Vec<Spanned<String>>>,
    pub(super) tags: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) actions: Spanned<Vec<Spanned<String>>>,
}
