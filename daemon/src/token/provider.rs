//! The one provider of the helper: each kind of token by its own.

#[cfg(feature = "yubikey")]
use super::piv::PivProvider;
use super::pkcs11::Pkcs11Provider;
use super::{Provision, Secret, TokenError, TokenKind, TokenProvider};

/// Tokens of every kind that this build knows.
#[derive(Default)]
pub(super) struct AnyProvider {
    pkcs11: Pkcs11Provider,
    #[cfg(feature = "yubikey")]
    piv: PivProvider,
}

impl AnyProvider {
    fn of(&self, which: &TokenKind) -> Result<&dyn TokenProvider, TokenError> {
        match which {
            TokenKind::Pkcs11 { .. } => Ok(&self.pkcs11),
            #[cfg(feature = "yubikey")]
            TokenKind::Yubikey { .. } => Ok(&self.piv),
            #[cfg(not(feature = "yubikey"))]
            TokenKind::Yubikey { .. } => Err(TokenError::NotSupported {
                what: "be used: this touchmarkd was built without YubiKeys".to_owned(),
            }),
        }
    }
}

impl TokenProvider for AnyProvider {
    fn open(&self, which: &TokenKind) -> Result<Box<dyn Provision>, TokenError> {
        self.of(which)?.open(which)
    }

    fn init_token(&self, which: &TokenKind, so_pin: Option<&Secret>, pin: &Secret) -> Result<(), TokenError> {
        self.of(which)?.init_token(which, so_pin, pin)
    }
}

/// A token of one kind handed to the provider of another: a fault of ours.
pub(super) fn another_kind(which: &TokenKind) -> TokenError {
    TokenError::Failed { call: "helper".to_owned(), code: format!("a {} is not of this kind", which.word()) }
}
