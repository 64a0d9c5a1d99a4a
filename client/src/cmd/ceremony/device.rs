//! The token of a ceremony: there, the right one, no longer as the factory set it, and what it proves of its keys.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{KeyId, PublicKey, shown};

use crate::attestation::{Attested, Authorities};
use crate::ceremony::plan::RootKey;
use crate::cmd::key;
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;

/// How long a token may take to open, and the pause between two looks at it.
const OPENING: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// What a token says of one of its keys.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// In DER, leaf first; none where it says nothing.
    pub(super) certificates: Vec<Vec<u8>>,
    /// What that proves; `None`: it was not checked.
    pub(super) attested: Option<Attested>,
}

/// The token of that name, ready to be used.
///
/// # Errors
/// `TOKEN_UNKNOWN`; `TOKEN_NOT_PRESENT`; `TOKEN_NOT_READY`: a PIN or a key that everybody knows still opens it.
pub(super) async fn ready(daemon: &Daemon, name: &str) -> Result<v1::Token, Error> {
    let began = tokio::time::Instant::now();
    let token = loop {
        let all = daemon.tokens().list(v1::ListTokensRequest {}).await.map_err(failure)?.into_inner().tokens;
        let token = crate::cmd::token::find(&all, name)?;
        if token.presence() != v1::TokenPresence::Opening || began.elapsed() > OPENING {
            break token.clone();
        }
        tokio::time::sleep(LOOK).await;
    };
    let say = |reason, what: &str, hint: &str| {
        let detail =
            if token.detail.is_empty() { String::new() } else { format!(": {}", shown(&token.detail)) };
        Err(Error::new(reason, format!("the token {} {what}{detail}", shown(name))).hint(hint))
    };
    match token.presence() {
        v1::TokenPresence::Present => {}
        v1::TokenPresence::Mismatch => {
            return say(Reason::TokenMismatch, "is another one than it should be", "touchmark token ls");
        }
        v1::TokenPresence::Failed => return say(Reason::TokenFailed, "cannot be used", "touchmark doctor"),
        _ => return say(Reason::TokenNotPresent, "is not there", "plug it in, then the same command again"),
    }
    if !token.factory_values.is_empty() {
        let message = format!(
            "on the token {} this is still as the factory sets it for every one: {}; whoever finds it can use its keys",
            shown(name),
            shown(&token.factory_values.join(", "))
        );
        return Err(
            Error::new(Reason::TokenNotReady, message).hint(format!("touchmark token init {}", shown(name)))
        );
    }
    Ok(token)
}

/// The root keys that are known to be on a token.
pub(super) fn root_keys(token: &v1::Token) -> Result<Vec<(KeyId, PublicKey, &v1::Key)>, Error> {
    let roots = token.keys.iter().filter(|key| key.role() == v1::Role::Root);
    roots
        .map(|key| {
            let public = PublicKey::from_spki(&key.public_key)
                .map_err(|_| Error::internal("touchmarkd sent a key that is none"))?;
            Ok((public.canonical_id(), public, key))
        })
        .collect()
}

/// Asks a YubiKey what it says of a key, and checks it where somebody says whom to trust.
///
/// # Errors
/// `NOT_ATTESTED`: it is to be checked, and nothing proves that the key was made there.
pub(super) async fn attest(
    ctx: &Ctx,
    daemon: &Daemon,
    token: &v1::Token,
    key: &PublicKey,
    authorities: Option<&Authorities>,
) -> Result<Proof, Error> {
    if token.kind != "yubikey" {
        return Ok(Proof::default());
    }
    let id = key.canonical_id();
    let request =
        v1::AttestRequest { key_id: id.to_string(), token: token.name.clone(), ..Default::default() };
    let answer = daemon.tokens().attest(request).await.map_err(failure)?.into_inner();
    let Some(authorities) = authorities else {
        return Ok(Proof { certificates: answer.certificates, attested: None });
    };
    if answer.made == "elsewhere" {
        let why =
            format!("the key {id} on {} was imported: nothing proves who else has it", shown(&token.name));
        let hint = format!("touchmark key create root --token {} makes one there", shown(&token.name));
        return Err(Error::new(Reason::NotAttested, why).hint(hint));
    }
    let attested = authorities.check(&answer.certificates, ctx.now)?;
    attested.is_about(&token.serial, Some(key))?;
    Ok(Proof { certificates: answer.certificates, attested: Some(attested) })
}

/// As it stands in a transcript.
pub(super) fn base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// What was proved, in words.
pub(super) fn proved(attested: &Attested) -> String {
    format!(
        "made on YubiKey {}, firmware {}, and cannot leave it; PIN {}, touch {}; vouched for by {}",
        attested.serial, attested.firmware, attested.pin_policy, attested.touch_policy, attested.root
    )
}

/// A root key as plans and key files describe it.
pub(super) fn described(
    token: &v1::Token,
    key: &v1::Key,
    public: PublicKey,
    attestation: Vec<Vec<u8>>,
) -> RootKey {
    RootKey {
        public,
        label: if key.label.is_empty() { token.name.clone() } else { key.label.clone() },
        token_kind: token.kind.clone(),
        serial: token.serial.clone(),
        firmware: token.firmware.clone(),
        touch_policy: key.touch_policy.clone(),
        pin_policy: key.pin_policy.clone(),
        attestation,
    }
}

/// The one root key on a token that is meant.
///
/// # Errors
/// `KEY_UNKNOWN`: there is none, or there are several and none is named.
pub(super) fn chosen(token: &v1::Token, written: Option<&str>) -> Result<(PublicKey, v1::Key), Error> {
    let roots = root_keys(token)?;
    let name = shown(&token.name).to_string();
    let unknown = |why: String| Error::new(Reason::KeyUnknown, why);
    if let Some(written) = written {
        let all: Vec<v1::Key> = roots.iter().map(|(_, _, key)| (*key).clone()).collect();
        let found = key::find(&all, written)?;
        let one = roots.into_iter().find(|(_, _, key)| key.id == found.id);
        return one.map(|(_, public, key)| (public, key.clone())).ok_or_else(|| unknown(String::new()));
    }
    let count = roots.len();
    let mut roots = roots.into_iter();
    match (roots.next(), count) {
        (Some((_, public, key)), 1) => Ok((public, key.clone())),
        (None, _) => Err(unknown(format!("no root key is known on the token {name}"))
            .hint(format!("touchmark key create root --token {name}"))),
        (Some((_, _, first)), _) => {
            let ids = std::iter::once(first).chain(roots.map(|(_, _, key)| key)).map(key::in_words);
            let list = ids.collect::<Vec<_>>().join("; ");
            Err(unknown(format!("there are several root keys on {name}: {list}")).hint("--key ID names one"))
        }
    }
}
