//! Repositories whose root key is on a token.

use p256::ecdsa::SigningKey;
use std::num::NonZeroU32;
use tonic::transport::Channel;
use touchmark_proto::v1;
use touchmark_proto::v1::keys_client::KeysClient;
use touchmark_proto::v1::root_certificate_event::Event;
use touchmark_tuf::{Document as _, Expires, PublicKey, first_root};

use super::{Failure, LIFE, create, create_key, is_signature, now, one_document, signed};

/// A repository whose root key is on a token, and the first version of its root.
#[derive(Clone, Debug)]
pub struct TokenRoot {
    /// Its full name.
    pub gun: String,
    /// Canonical id of the root key.
    pub id: String,
    key: PublicKey,
    root: Vec<u8>,
}

/// A new root key on a token, which wants to be touched as its policy says: `always`, `cached` or `never`.
///
/// # Errors
/// The daemon's refusal.
pub async fn create_root(channel: &Channel, token: &str, touch: &str) -> Result<v1::Key, Failure> {
    let request = v1::CreateKeyRequest {
        role: v1::Role::Root.into(),
        token: token.to_owned(),
        label: format!("root, touch {touch}"),
        touch_policy: touch.to_owned(),
        ..Default::default()
    };
    create(channel, request).await
}

impl TokenRoot {
    /// A repository with this root key and a targets key in the vault. Its root is signed once.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub async fn make(channel: &Channel, gun: &str, key: &v1::Key) -> Result<Self, Failure> {
        let certificate = certificate(channel, &key.id, gun).await?;
        let targets = create_key(channel, gun).await?;
        let [snapshot, timestamp] = [8, 9].map(elsewhere);
        let expires = Expires::at(now().plus(LIFE));
        let gun: touchmark_tuf::Gun = gun.parse().expect("a name");
        let root =
            first_root(&gun, &[certificate], NonZeroU32::MIN, &targets, &snapshot, &timestamp, expires);
        let root = root.expect("a root").write();
        let public = PublicKey::from_spki(&key.public_key).expect("the daemon's own key");
        let made = Self { gun: gun.to_string(), id: key.id.clone(), key: public, root };
        made.sign(channel).await?;
        Ok(made)
    }

    /// Has its root signed by the token: the same bytes each time, so that no version is used up. The signature is
    /// verified.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn sign(&self, channel: &Channel) -> Result<(), Failure> {
        let request = one_document(&self.gun, "root", vec![self.id.clone()], &self.root, &[], None);
        let answer = signed(channel, request).await?;
        let signature = &answer.documents[0].signatures[0].signature;
        assert!(is_signature(&self.key, &self.root, signature), "the daemon signed something else");
        Ok(())
    }
}

async fn certificate(channel: &Channel, key: &str, gun: &str) -> Result<PublicKey, Failure> {
    let request =
        v1::IssueRootCertificateRequest { key_id: key.to_owned(), gun: gun.to_owned(), renew: false };
    let mut events = KeysClient::new(channel.clone()).issue_root_certificate(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        if let Some(Event::Certificate(made)) = event.event {
            return Ok(PublicKey::from_certificate_pem(made.pem.as_bytes()).expect("the daemon's own"));
        }
    }
    Err(Failure::Gone(tonic::Status::unknown("the stream ended without a certificate")))
}

/// A key of a trust server that nobody asks.
fn elsewhere(seed: u8) -> PublicKey {
    let key = SigningKey::from_slice(&[seed; 32]).expect("a key");
    let point = key.verifying_key().to_sec1_point(false);
    PublicKey::from_p256_point(point.as_bytes().try_into().expect("a point"))
}
