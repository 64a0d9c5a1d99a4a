//! p256 signing digests in this process on one thread: no socket, no record, no check.

use std::hint::black_box;
use std::time::{Duration, Instant};

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};

/// A key and the last digest that it signed.
pub(crate) struct InProcess {
    key: SigningKey,
    digest: [u8; 32],
}

impl InProcess {
    /// With a fixed key: which one makes no difference.
    pub(crate) fn new() -> Self {
        Self { key: SigningKey::from_slice(&[7; 32]).unwrap(), digest: [0; 32] }
    }

    /// Signatures in a second.
    pub(crate) fn rate(&mut self, span: Duration) -> f64 {
        let start = Instant::now();
        let mut signatures = 0_u32;
        while start.elapsed() < span {
            let signature: Signature = self.key.sign_prehash(&self.digest).unwrap();
            self.digest = Sha256::digest(black_box(signature).to_bytes()).into();
            signatures += 1;
        }
        f64::from(signatures) / start.elapsed().as_secs_f64()
    }
}
