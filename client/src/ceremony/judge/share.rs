//! One transcript without its record: judged by published roots alone, as it names its plan and does not hold it.
use std::collections::BTreeSet;

use touchmark_tuf::{CheckSignature, Gun, KeyId, Method, PublicKey, Sha256Digest, verify_p256};

use super::change::{Change, entry_of};
use crate::attestation::Authorities;
use crate::ceremony::anchors::Anchors;
use crate::ceremony::transcript::{Said, Share, ShareError, SignedRoot};
use crate::ceremony::vouched::{self, Vouched};

/// A transcript that fits.
#[derive(Clone, Debug)]
pub struct LoneShare {
    /// What it says.
    pub share: Share,
    /// Repositories whose published root is what it signed.
    pub compared: BTreeSet<Gun>,
    /// What is proved of its keys.
    pub vouched: Vouched,
}

/// Judges a transcript.
///
/// # Errors
/// The first thing that does not fit.
pub fn lone(
    text: &str,
    published: &Anchors,
    authorities: Option<&Authorities>,
    checker: &dyn CheckSignature,
) -> Result<LoneShare, Change> {
    let wrong = |why: ShareError| Change::of_file(entry_of(&why), why.to_string());
    let share = Share::read(text).map_err(wrong)?;
    let sealed = share.sealed.as_ref().ok_or(ShareError::Unsealed).map_err(wrong)?;
    let key = share.begun.key;
    let public = published
        .all()
        .flat_map(|(_, root)| root.keys.values())
        .find(|public| public.key_type().is_certificate() && public.canonical_id() == key);
    let public = public.ok_or_else(|| {
        let why =
            format!("it is sealed by the key {key}, of which no published root says that it is a root key");
        Change::of_file(None, why)
    })?;
    let fits = match (public.p256_point(), sealed.ecdsa()) {
        (Some(point), Some(signature)) if sealed.key == key => {
            verify_p256(&point, &share.chain().seal_message(), &signature)
        }
        _ => false,
    };
    if !fits {
        return Err(wrong(ShareError::Seal(key)));
    }
    seal_names_a_token(&share).map_err(|entry| {
        Change::of_file(Some(entry), "sealed: the serial is that of no token in it".to_owned())
    })?;
    let mut compared = BTreeSet::new();
    for (seq, signed) in share.signed() {
        if compare(seq, signed, published, checker).map_err(wrong)? {
            compared.insert(signed.repository.clone());
        }
    }
    let vouched = vouched::check(&share, authorities)
        .map_err(|(entry, why)| Change::of_file(Some(entry), why.to_string()).of_attestation())?;
    Ok(LoneShare { share, compared, vouched })
}

/// What stands beside a seal is not under it: so it has to repeat what is.
///
/// # Errors
/// The number of the entry.
pub(super) fn seal_names_a_token(share: &Share) -> Result<(), u64> {
    let Some((entry, Said::Sealed(sealed))) = share.entries.last() else { return Ok(()) };
    let is_it = |said: &Said| matches!(said, Said::Device(device) if device.serial == sealed.serial);
    if share.entries.iter().any(|(_, said)| is_it(said)) { Ok(()) } else { Err(entry.seq) }
}

/// Whether there is a published root to compare with.
fn compare(
    seq: u64,
    signed: &SignedRoot,
    published: &Anchors,
    checker: &dyn CheckSignature,
) -> Result<bool, ShareError> {
    let gun = signed.repository.clone();
    let Some(root) = published.of(&gun).and_then(|roots| roots.get(&signed.version)) else {
        return Ok(false);
    };
    if signed.digest != Sha256Digest::of(root.signed_bytes()) {
        return Err(ShareError::Document { seq, gun });
    }
    let key: KeyId = signed.key;
    let good = |id: &KeyId, sig: &[u8]| {
        let listed = root.keys.get(id).filter(|public: &&PublicKey| public.canonical_id() == key);
        listed.is_some_and(|public| checker.check(public, Method::Ecdsa, root.signed_bytes(), sig))
    };
    let all = signed.signatures.iter().all(|one| good(&one.keyid, &one.sig));
    if all && !signed.signatures.is_empty() { Ok(true) } else { Err(ShareError::Signature { seq, gun, key }) }
}
