//! From differences to the actions that they need. What is not named here is refused.
use std::collections::BTreeSet;

use touchmark_tuf::{Difference, RoleName};

use super::DocumentError;
use crate::policy::{Action, Need};

/// What a caller has to be allowed for these differences; empty: nothing but to sign at all. A new expiry comes with
/// every change; only where it is all that changes, it is a refresh.
///
/// # Errors
/// `DocumentError::Change` for a difference that nobody may make.
pub fn needs(role: &RoleName, differences: &[Difference]) -> Result<Vec<Need>, DocumentError> {
    let created = differences.iter().any(|difference| matches!(difference, Difference::Created { .. }));
    let mut needs = BTreeSet::new();
    let mut consequences = false;
    for difference in differences {
        match difference {
            // The first document of a delegation that `targets` lists already is an ordinary one of its signer.
            Difference::Created { .. } if matches!(role, RoleName::Delegation(_)) => {}
            Difference::Created { .. } => {
                needs.insert(Need::of(Action::Init));
            }
            Difference::TagAdded { tag, .. } | Difference::TagMoved { tag, .. } => {
                needs.insert(Need::on(Action::Sign, tag.clone()));
            }
            Difference::TagRemoved { tag } => {
                needs.insert(Need::on(Action::Revoke, tag.clone()));
            }
            Difference::ExpiryChanged { .. } => {}
            Difference::DelegationAdded { .. }
            | Difference::DelegationRemoved { .. }
            | Difference::DelegationChanged { .. } => {
                needs.insert(Need::of(Action::Delegate));
            }
            // Part of the making where the root is new.
            Difference::RootKeyAdded { .. }
            | Difference::RootKeyRemoved { .. }
            | Difference::RootCertificateReplaced { .. }
            | Difference::RootThresholdChanged { .. }
            | Difference::RoleKeysChanged { .. } => {
                if !created {
                    needs.insert(Need::of(Action::Rotate));
                }
            }
            // What the file itself changed was decided when it was signed or accepted.
            Difference::FileChanged { .. } => consequences = true,
            other => return Err(DocumentError::Change { role: role.clone(), what: other.to_string() }),
        }
    }
    if needs.is_empty() && !consequences {
        needs.insert(Need::of(Action::Refresh));
    }
    Ok(needs.into_iter().collect())
}
