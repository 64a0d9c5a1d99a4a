//! What a root document has to keep to. A root key serves several repositories and the document does not name its own:
//! the certificates do, and so each has to be for this repository and no other.
use std::collections::BTreeMap;

use touchmark_tuf::{Gun, KeyId, RoleName, Root, RootCertificate, shown};

pub(super) fn check(gun: &Gun, new: &Root) -> Result<(), String> {
    let mut role_of: BTreeMap<KeyId, RoleName> = BTreeMap::new();
    for role in [RoleName::Root, RoleName::Targets, RoleName::Snapshot, RoleName::Timestamp] {
        for key in new.keys_of(&role) {
            if role == RoleName::Root {
                certificate(gun, key)?;
            }
            match role_of.insert(key.canonical_id(), role.clone()) {
                Some(other) if other != role => {
                    return Err(format!(
                        "one key ({}) is listed for both {other} and {role}",
                        key.canonical_id()
                    ));
                }
                _ => {}
            }
        }
    }
    // Notary's readers count certificates: with two of one key a threshold of two would be met by that key alone.
    let (keys, threshold) = (new.different_keys(&RoleName::Root), new.roles.root.threshold.get());
    if u32::try_from(keys).is_ok_and(|keys| keys < threshold) {
        return Err(format!("{threshold} root keys must sign, and there are {keys} different ones"));
    }
    Ok(())
}

/// A root key stands in a certificate for exactly this repository: no prefix, no other name.
fn certificate(gun: &Gun, key: &touchmark_tuf::PublicKey) -> Result<(), String> {
    if !key.key_type().is_certificate() {
        return Err(format!("the root key {} is listed without a certificate", key.id()));
    }
    let certificate = RootCertificate::from_pem(key.public())
        .map_err(|error| format!("the certificate of the root key {}: {error}", key.id()))?;
    if certificate.common_name() != gun.as_str() {
        return Err(format!(
            "the certificate of the root key {} is for {}, not for {}",
            key.id(),
            shown(certificate.common_name()),
            shown(gun.as_str())
        ));
    }
    Ok(())
}
