//! Service `Vault`.

use std::sync::Arc;

use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};
use touchmark_proto::v1;
use touchmark_proto::v1::vault_event::Event as Out;

use super::Service;
use super::call::Call;
use super::desk::{Desk, Events, stream};
use super::upload::UPLOAD_TIME;
use crate::app::App;
use crate::policy::{Action, Decision};
use crate::unlock::{LockReason, UnlockError, backup};

/// Bytes of a backup in one message.
const PART: usize = 64 * 1024;

type VaultEvents = Events<v1::VaultEvent>;
type Answer = Result<Response<VaultEvents>, Status>;

#[tonic::async_trait]
impl v1::vault_server::Vault for Service {
    type InitStream = VaultEvents;
    async fn init(&self, request: Request<v1::VaultInitRequest>) -> Answer {
        let call = Call::of(&request)?;
        let token = named(request.into_inner().token);
        self.vault_call(call, move |app, desk| async move {
            // The PIN of the token, or the passphrase that is set, shows that a person is there.
            allowed(&app, &desk, Action::Keys)?;
            app.make_vault(token.as_deref(), &desk).await
        })
    }

    type AddTokenStream = VaultEvents;
    async fn add_token(&self, request: Request<v1::VaultTokenRequest>) -> Answer {
        let call = Call::of(&request)?;
        let token = request.into_inner().token;
        self.vault_call(call, move |app, desk| async move {
            app.confirm_keys(&desk, "add a way to open the vault").await?;
            app.add_token_way(&token, &desk).await
        })
    }

    type RemoveTokenStream = VaultEvents;
    async fn remove_token(&self, request: Request<v1::VaultTokenRequest>) -> Answer {
        let call = Call::of(&request)?;
        let token = request.into_inner().token;
        self.vault_call(call, move |app, desk| async move {
            app.confirm_keys(&desk, "take away a way to open the vault").await?;
            app.remove_way(Some(&token), desk.call().caller.uid).await
        })
    }

    type SetPassphraseStream = VaultEvents;
    async fn set_passphrase(&self, request: Request<v1::VaultPassphraseRequest>) -> Answer {
        let call = Call::of(&request)?;
        let remove = request.into_inner().remove;
        self.vault_call(call, move |app, desk| async move {
            app.confirm_keys(&desk, "change the vault's passphrase").await?;
            if remove {
                return app.remove_way(None, desk.call().caller.uid).await;
            }
            app.set_passphrase_way(&desk).await
        })
    }

    type UnlockStream = VaultEvents;
    async fn unlock(&self, request: Request<v1::UnlockRequest>) -> Answer {
        let call = Call::of(&request)?;
        let token = named(request.into_inner().token);
        self.vault_call(call, move |app, desk| async move {
            // Opening asks for a PIN or passphrase anyway.
            allowed(&app, &desk, Action::Unlock)?;
            app.unlock(token.as_deref(), &desk).await
        })
    }

    async fn lock(&self, request: Request<v1::LockRequest>) -> Result<Response<v1::LockResponse>, Status> {
        let call = Call::of(&request)?;
        if let Decision::Refused(why) = self.0.policy().may(&call.caller, Action::Unlock) {
            return Err(self.0.refused(&call, why.into()));
        }
        self.0.lock(call.caller.uid, LockReason::Asked).await;
        Ok(Response::new(v1::LockResponse {}))
    }

    async fn status(
        &self,
        request: Request<v1::VaultStatusRequest>,
    ) -> Result<Response<v1::VaultStatus>, Status> {
        let call = Call::of(&request)?;
        let status = self.0.vault_message().await;
        status.map(Response::new).map_err(|error| self.0.refused(&call, error.into()))
    }

    type BackupStream = Events<v1::BackupChunk>;
    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let call = Call::of(&request)?;
        let refuse = |refusal| self.0.refused(&call, refusal);
        match self.0.policy().may(&call.caller, Action::Keys) {
            // What is handed out is sealed: it opens with the vault's own tokens and passphrases only.
            Decision::Allowed | Decision::NeedsPin => {}
            Decision::Refused(why) => return Err(refuse(why.into())),
        }
        let bytes = self.0.backup(call.caller.uid).await.map_err(|error| refuse(error.into()))?;
        let held = self.0.budget().take(call.caller.uid, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let share = held.map_err(refuse)?;
        let (parts, stream) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let _share = share;
            for part in bytes.chunks(PART) {
                if parts.send(Ok(v1::BackupChunk { data: part.to_vec() })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Events::new(stream)))
    }

    type RestoreStream = VaultEvents;
    async fn restore(&self, request: Request<Streaming<v1::RestoreRequest>>) -> Answer {
        let call = Call::of(&request)?;
        let share = self.0.budget().take(call.caller.uid, backup::MAX);
        let share = share.map_err(|refusal| self.0.refused(&call, refusal))?;
        let mut parts = request.into_inner();
        self.vault_call(call, move |app, desk| async move {
            allowed(&app, &desk, Action::Keys)?;
            let late =
                |_| UnlockError::Backup(format!("it took longer than {} seconds", UPLOAD_TIME.as_secs()));
            let bytes = tokio::time::timeout(UPLOAD_TIME, whole(&mut parts)).await.map_err(late)??;
            let restored = app.restore(&bytes, desk.call().caller.uid).await;
            drop(share);
            restored
        })
    }
}

impl Service {
    /// A call whose answer is the vault's status.
    fn vault_call<W, F>(&self, call: Call, work: W) -> Answer
    where
        W: FnOnce(Arc<App>, Desk) -> F,
        F: Future<Output = Result<(), UnlockError>> + Send + 'static,
    {
        let wrap = |waiting| v1::VaultEvent { event: Some(Out::Waiting(waiting)) };
        let app = Arc::clone(&self.0);
        Ok(stream(&self.0, call, wrap, move |desk| {
            let work = work(Arc::clone(&app), desk);
            async move {
                work.await?;
                Ok(v1::VaultEvent { event: Some(Out::Status(app.vault_message().await?)) })
            }
        }))
    }
}

impl App {
    async fn confirm_keys(self: &Arc<Self>, desk: &Desk, intent: &str) -> Result<(), UnlockError> {
        let decision = self.policy().may(&desk.call().caller, Action::Keys);
        self.confirm(decision, None, desk, intent).await
    }
}

/// The backup that comes in parts.
pub(crate) async fn whole(parts: &mut Streaming<v1::RestoreRequest>) -> Result<Vec<u8>, UnlockError> {
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|status| UnlockError::Backup(status.message().to_owned()))?;
        bytes.extend_from_slice(&part.data);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > backup::MAX {
            return Err(UnlockError::Backup(format!("it is longer than {} bytes", backup::MAX)));
        }
    }
    Ok(bytes)
}

/// For calls that ask for a PIN or passphrase in any case.
fn allowed(app: &App, desk: &Desk, action: Action) -> Result<(), UnlockError> {
    match app.policy().may(&desk.call().caller, action) {
        Decision::Allowed | Decision::NeedsPin => Ok(()),
        Decision::Refused(why) => Err(why.into()),
    }
}

fn named(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
