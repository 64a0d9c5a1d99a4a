//! What a transcript carries of its YubiKey's own word about its keys, checked once more.
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use touchmark_tuf::KeyId;

use super::growing::wall;
use super::transcript::{Device, Said, Share};
use crate::attestation::{AttestationError, Attested, Authorities};
use crate::context::Ctx;
use crate::error::Error;

/// Beside the client's own configuration.
const AUTHORITIES: &str = "attestation-ca.pem";

/// What is proved about the keys of one signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// The transcript carries nothing: the token says nothing of its keys.
    Nothing,
    /// Nobody here says whose word counts.
    Unchecked,
    /// This.
    Proved(Vec<Attested>),
}

/// The certificates that are believed: those in the file that was named, else those beside the configuration, if there
/// are any.
///
/// # Errors
/// `USAGE`: the file is of no use.
pub fn authorities(ctx: &Ctx, named: Option<&Path>) -> Result<Option<Authorities>, Error> {
    let beside = ctx.environment.config_file().with_file_name(AUTHORITIES);
    match named {
        Some(file) => Ok(Some(Authorities::read(file)?)),
        None if beside.exists() => Ok(Some(Authorities::read(&beside)?)),
        None => Ok(None),
    }
}

/// Checks every attestation of a transcript, as of the time when it was taken.
///
/// # Errors
/// The number of the entry, and what is wrong.
pub fn check(share: &Share, authorities: Option<&Authorities>) -> Result<Vouched, (u64, AttestationError)> {
    let mut vouched = Vouched::Nothing;
    for (entry, said) in &share.entries {
        let Said::Device(device) = said else { continue };
        for (key, chain) in &device.attestation {
            let Some(authorities) = authorities else { return Ok(Vouched::Unchecked) };
            let one = check_one(device, key, chain, authorities, wall(&entry.moment))
                .map_err(|why| (entry.seq, why))?;
            match &mut vouched {
                Vouched::Proved(all) if all.contains(&one) => {}
                Vouched::Proved(all) => all.push(one),
                Vouched::Nothing | Vouched::Unchecked => vouched = Vouched::Proved(vec![one]),
            }
        }
    }
    Ok(vouched)
}

fn check_one(
    device: &Device,
    key: &str,
    chain: &[String],
    authorities: &Authorities,
    at: touchmark_tuf::Instant,
) -> Result<Attested, AttestationError> {
    let chain: Option<Vec<Vec<u8>>> = chain.iter().map(|der| STANDARD.decode(der).ok()).collect();
    let chain = chain.ok_or(AttestationError::Malformed("no base64"))?;
    let attested = authorities.check(&chain, at)?;
    attested.is_about(&device.serial, None)?;
    let found = attested.public.canonical_id();
    let named = key.parse::<KeyId>().is_ok_and(|key| key == found && device.keys.contains(&key));
    if named {
        return Ok(attested);
    }
    Err(AttestationError::Another {
        found: format!("key {found}"),
        expected: format!("key {}", touchmark_tuf::shown(key)),
    })
}

impl Vouched {
    /// In words, for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Nothing => "no attestation: the token says nothing of where its key was made".to_owned(),
            Self::Unchecked => "attestation not checked: no certificates to check it by (--ca)".to_owned(),
            Self::Proved(all) => {
                let one = |attested: &Attested| {
                    format!(
                        "made in YubiKey {}, firmware {}, touch {}, PIN {}; vouched for by {}",
                        attested.serial,
                        attested.firmware,
                        attested.touch_policy,
                        attested.pin_policy,
                        attested.root
                    )
                };
                all.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// As a word for scripts.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Unchecked => "not-checked",
            Self::Proved(_) => "proved",
        }
    }
}
