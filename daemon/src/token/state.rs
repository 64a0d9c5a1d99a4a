//! What is known about a token without asking it.

use serde::{Deserialize, Serialize};

/// Everything that `status` says about a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    /// Whether it is there.
    pub presence: Presence,
    /// Who it is; kept while it is absent.
    pub info: Option<TokenInfo>,
    /// How its user PIN stands.
    pub pin: PinState,
    /// Wrong PINs that it still forgives, where it says so: PKCS#11 tells the last one only.
    pub tries_left: Option<u32>,
    /// Whether its private keys can be used now.
    pub logged_in: bool,
    /// What still is as the factory sets it for every token of its kind; `None`: the token does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory: Option<Vec<Credential>>,
}

impl TokenState {
    /// A token that nobody has asked yet.
    #[must_use]
    pub fn opening() -> Self {
        Self::without_token(Presence::Opening)
    }

    /// A token that does not answer, for the reason in `presence`.
    #[must_use]
    pub fn without_token(presence: Presence) -> Self {
        Self {
            presence,
            info: None,
            pin: PinState::Unknown,
            tries_left: None,
            logged_in: false,
            factory: None,
        }
    }

    /// A token that is there.
    #[must_use]
    pub fn present(info: TokenInfo, pin: PinState, logged_in: bool) -> Self {
        let (presence, tries_left) = (Presence::Present, pin.tries_left());
        Self { presence, info: Some(info), pin, tries_left, logged_in, factory: None }
    }
}

/// Whether a token is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Nobody knows yet.
    Opening,
    /// It is there and it is the enrolled one.
    Present,
    /// It is not there; it is looked for again.
    Absent,
    /// Another token answers, or several do; the text says which.
    Mismatch(String),
    /// It or its module fails; the text says how. It is tried again.
    Failed(String),
}

/// Who a token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Serial number. Not every kind has one of its own: all TPMs say the same.
    pub serial: String,
    /// Label, without padding.
    pub label: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware version, `major.minor`.
    pub firmware: String,
}

/// What opens a token, or changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// Lets keys be used.
    Pin,
    /// Sets a new PIN.
    Puk,
    /// Lets keys be made and overwritten.
    ManagementKey,
}

impl Credential {
    /// Its stable word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Puk => "puk",
            Self::ManagementKey => "management-key",
        }
    }

    /// Some of them in a sentence.
    #[must_use]
    pub fn words(some: &[Self]) -> String {
        let name = |one: &Self| match one {
            Self::Pin => "PIN",
            Self::Puk => "PUK",
            Self::ManagementKey => "management key",
        };
        match some {
            [] => String::new(),
            [one] => name(one).to_owned(),
            [before @ .., last] => {
                format!("{} and {}", before.iter().map(name).collect::<Vec<_>>().join(", "), name(last))
            }
        }
    }
}

/// How the user PIN of a token stands (PKCS#11 v2.40 base, section 3.2, token flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinState {
    /// Not asked yet.
    Unknown,
    /// No wrong PIN since the last right one.
    Ok,
    /// At least one wrong PIN since the last right one.
    Low,
    /// The next wrong PIN locks it.
    Final,
    /// Locked: only the security officer can set a new one.
    Locked,
    /// None was ever set.
    NotSet,
}

impl PinState {
    /// Wrong PINs that are still forgiven, where that is known.
    #[must_use]
    pub fn tries_left(self) -> Option<u32> {
        match self {
            Self::Final => Some(1),
            Self::Locked => Some(0),
            Self::Unknown | Self::Ok | Self::Low | Self::NotSet => None,
        }
    }
}
