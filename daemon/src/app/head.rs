//! The signed heads of the audit: every hundred rows, and whenever the vault closes, the vault's audit key signs
//! where the record stands. A cut tail or a rewritten record then shows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use touchmark_proto::audit::head_message;
use touchmark_tuf::verify::verify_p256;

use crate::app::App;
use crate::store::keys::KeyRecord;
use crate::store::{StoreError, Tx, View};
use crate::unlock::{UnlockError, blocking};
use crate::vault::{KeyRole, VaultError};

/// Rows between two signed heads.
const EVERY: u64 = 100;

impl App {
    /// Signs the head, beside the caller, where `seq` is far enough beyond the last signed one. Failures are logged:
    /// the record itself stands.
    pub(crate) fn sign_head_if_due(self: &Arc<Self>, seq: u64) {
        let signed = self.head_signed().load(Ordering::Acquire);
        let due = seq.saturating_sub(signed) >= EVERY;
        // Of several requests at once, one signs.
        if !due
            || self.head_signed().compare_exchange(signed, seq, Ordering::AcqRel, Ordering::Acquire).is_err()
        {
            return;
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = app.sign_head().await {
                tracing::error!(%error, "the head of the audit could not be signed");
            }
        });
    }

    /// Signs the head as it is now; without an audit key there is nothing to do.
    pub(crate) async fn sign_head(&self) -> Result<(), UnlockError> {
        let read = |view: &View<'_>| Ok((view.audit_head()?, view.key_for(&KeyRole::Audit)?));
        let (head, Some(KeyRecord { id, public, .. })) = self.store().read::<_, StoreError, _>(read).await?
        else {
            return Ok(());
        };
        let message = head_message(head.seq, &head.hash);
        let vault = Arc::clone(self.vault());
        let point = public.p256_point().ok_or(VaultError::NotP256)?;
        let signature = blocking(move || {
            let signature = vault.sign(&id, &message)?;
            if !verify_p256(&point, &message, &signature) {
                return Err(VaultError::Mismatch(id).into());
            }
            Ok(signature)
        })
        .await?;
        let spki = public.spki().map_err(|_| VaultError::NotP256)?;
        let job = move |tx: &Tx<'_>| tx.keep_head(&head, &id, &spki, signature.as_bytes());
        self.store().write(job).await.map_err(|error: StoreError| error.into())
    }
}
