//! Finding out whether a key on a token agrees on secrets: by agreeing with it.

use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{NonZeroScalar, PublicKey as Point, SecretKey};
use touchmark_tuf::PublicKey;
use zeroize::Zeroizing;

use super::{Secret, TokenBox, TokenError};

/// A point to agree with, and what has to come of it.
pub(super) struct Trial {
    peer: [u8; 65],
    expected: p256::ecdh::SharedSecret,
}

impl Trial {
    /// A trial of the private half of `public`, with a key of our own that is used once.
    pub(super) fn of(public: &PublicKey) -> Result<Self, TokenError> {
        let public = public.p256_point().and_then(|point| Point::from_sec1_bytes(&point).ok());
        let public = public.ok_or_else(cannot)?;
        let ours = random_scalar()?;
        let peer = ours.public_key().to_sec1_point(false).as_bytes().try_into().map_err(|_| cannot())?;
        let expected = p256::ecdh::diffie_hellman(NonZeroScalar::from(&ours), public.as_affine());
        Ok(Self { peer, expected })
    }

    /// What to open.
    pub(super) fn boxed(&self) -> TokenBox {
        TokenBox::Ecdh { peer: self.peer }
    }

    /// Whether the token opened it.
    pub(super) fn passed(&self, opened: &Secret) -> Result<(), TokenError> {
        let same = opened.expose() == self.expected.raw_secret_bytes().as_slice();
        same.then_some(()).ok_or_else(cannot)
    }
}

fn cannot() -> TokenError {
    TokenError::NotSupported { what: "agree on a secret by ECDH".to_owned() }
}

fn random_scalar() -> Result<SecretKey, TokenError> {
    let failed = |code: String| TokenError::Failed { call: "getrandom".to_owned(), code };
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| failed(error.to_string()))?;
    SecretKey::from_slice(bytes.as_slice()).map_err(|error| failed(error.to_string()))
}
