//! What a targets document, of `targets` or of a delegation, has to keep to.
use touchmark_tuf::{DelegatedRole, RoleName, Targets};

use super::too_few_keys;

pub(super) fn check(role: &RoleName, base: Option<&Targets>, new: &Targets) -> Result<(), String> {
    new.delegations
        .roles
        .iter()
        .filter(|listed| !was_there(base, listed))
        .try_for_each(|listed| delegation(role, listed))
}

/// Other programs leave odd entries behind; they may stay as they are.
fn was_there(base: Option<&Targets>, listed: &DelegatedRole) -> bool {
    base.and_then(|base| base.delegation(&listed.name)) == Some(listed)
}

fn delegation(role: &RoleName, listed: &DelegatedRole) -> Result<(), String> {
    if listed.name.parent() != *role {
        return Err(format!("the delegation {} does not lie directly below {role}", listed.name));
    }
    // Docker keeps a role whose last signer is gone, without keys: nobody can sign for it.
    if listed.key_ids.is_empty() {
        return Ok(());
    }
    too_few_keys(listed.name.as_str(), listed.key_ids.len(), listed.threshold.get()).map_or(Ok(()), Err)
}
