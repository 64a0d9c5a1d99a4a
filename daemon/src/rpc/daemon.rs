//! Service `Daemon`: the status, the ledger, and what an administrator may put right in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use touchmark_proto::convert;
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1;
use touchmark_proto::v1::release_ledger_event::Event as Out;
use touchmark_tuf::shown;
use tracing::Instrument as _;

use super::Service;
use super::call::Call;
use super::desk::{Desk, Events, stream};
use crate::app::{App, Kind};
use crate::audit::Event;
use crate::ledger::{Entry, LedgerError, Slot};
use crate::policy::{Action, Caller, Decision, Grant};
use crate::store::{StoreError, Tx, View};

/// How often a watched status is compared with what was sent last.
const WATCH_STEP: Duration = Duration::from_millis(250);
/// Versions in one page of the ledger: some 200 bytes each.
const PAGE: u32 = 2048;
/// The longest reason for overriding the record, in bytes.
const REASON_MAX: usize = 1000;

#[tonic::async_trait]
impl v1::daemon_server::Daemon for Service {
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let call = Call::of(&request)?;
        let status = self.0.status(&call.caller).await;
        status.map(Response::new).map_err(|error| self.0.refused(&call, error.into()))
    }

    type WatchStream = Events<v1::StatusResponse>;

    async fn watch(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request)?;
        let app = self.0.clone();
        let (events, stream) = mpsc::channel(1);
        let task = async move {
            let mut last = None;
            let mut step = tokio::time::interval(WATCH_STEP);
            while !events.is_closed() {
                tokio::select! {
                    _ = step.tick() => (),
                    () = app.stopping() => return,
                }
                // After a lock tokens are left alone; somebody wants to know now.
                app.tokens().for_each(|slot| slot.handle.look_again());
                let now = app.status(&call.caller).await.map_err(|error| app.refused(&call, error.into()));
                let failed = now.is_err();
                if failed || now.as_ref().ok() != last.as_ref() {
                    last = now.as_ref().ok().cloned();
                    if events.send(now).await.is_err() || failed {
                        return;
                    }
                }
            }
        };
        tokio::spawn(task.in_current_span());
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    type LedgerStream = Events<v1::LedgerResponse>;

    async fn ledger(
        &self,
        request: Request<v1::LedgerRequest>,
    ) -> Result<Response<Self::LedgerStream>, Status> {
        let call = Call::of(&request)?;
        let app = Arc::clone(&self.0);
        let gun = request.into_inner().gun;
        let (pages, stream) = mpsc::channel(1);
        let task = async move {
            if let Err(refusal) = app.send_ledger(&call.caller, &gun, &pages).await {
                drop(pages.send(Err(app.refused(&call, refusal))).await);
            }
        };
        tokio::spawn(task.in_current_span());
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    type ReleaseLedgerStream = Events<v1::ReleaseLedgerEvent>;

    async fn release_ledger(
        &self,
        request: Request<v1::ReleaseLedgerRequest>,
    ) -> Result<Response<Self::ReleaseLedgerStream>, Status> {
        let call = Call::of(&request)?;
        let (app, request) = (Arc::clone(&self.0), request.into_inner());
        let wrap = |waiting| v1::ReleaseLedgerEvent { event: Some(Out::Waiting(waiting)) };
        Ok(stream(&self.0, call, wrap, move |desk| async move {
            let released = app.let_go(request, &desk).await?;
            Ok(v1::ReleaseLedgerEvent { event: Some(Out::Released(released)) })
        }))
    }

    type BelieveClockStream = Events<v1::BelieveClockEvent>;

    async fn believe_clock(
        &self,
        request: Request<v1::BelieveClockRequest>,
    ) -> Result<Response<Self::BelieveClockStream>, Status> {
        use v1::believe_clock_event::Event as Out;
        let call = Call::of(&request)?;
        let (app, request) = (Arc::clone(&self.0), request.into_inner());
        let wrap = |waiting| v1::BelieveClockEvent { event: Some(Out::Waiting(waiting)) };
        Ok(stream(&self.0, call, wrap, move |desk| async move {
            let believed = app.believe_clock(request.reason, &desk).await?;
            Ok(v1::BelieveClockEvent { event: Some(Out::Believed(believed)) })
        }))
    }
}

impl App {
    async fn status(&self, caller: &Caller) -> Result<v1::StatusResponse, StoreError> {
        let (audit_seq, behind) = self
            .store()
            .read(|view| Ok::<_, StoreError>((view.audit_head()?.seq, view.clock_behind_ms()?)))
            .await?;
        let vault = self.vault_message().await?;
        let mut warnings = self.hardening().warnings();
        if self.kind() == Kind::Dev {
            warnings.push("this is a dev state: its keys protect nothing".to_owned());
        }
        if vault.ways.len() == 1 {
            warnings.push(
                "there is one way to open the vault; add another: touchmark vault token add NAME".to_owned(),
            );
        }
        if let Some(ms) = behind {
            warnings.push(format!(
                "the clock is {} seconds behind the last time seen; no new expiry is signed",
                ms / 1000
            ));
        }
        for id in self.broken_keys() {
            warnings.push(format!("key {id} could not be loaded: it was not sealed by this vault"));
        }
        let path = |path: &std::path::Path| path.display().to_string();
        Ok(v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix: self.started().unix(),
            dev: self.kind() == Kind::Dev,
            tokens: self.tokens_for(caller).await?,
            vault: Some(vault),
            caller: Some(self.caller_message(caller)),
            warnings,
            audit_seq,
            state_dir: path(&self.config().state),
            config_file: self.config().file.as_deref().map(path).unwrap_or_default(),
        })
    }

    fn caller_message(&self, caller: &Caller) -> v1::Caller {
        let mut grants: Vec<v1::Grant> = self.policy().grants(caller).map(grant_message).collect();
        let own = caller.uid == self.own_uid();
        if own && self.config().allow.is_empty() {
            let all = Action::ALL.map(|action| match self.policy().may(caller, action) {
                Decision::NeedsPin => format!("{action} (asks for the PIN)"),
                Decision::Allowed | Decision::Refused(_) => action.to_string(),
            });
            grants.push(v1::Grant {
                repositories: vec!["**".to_owned()],
                tags: vec![],
                actions: all.to_vec(),
            });
        } else if own {
            let actions = vec![Action::Read.to_string()];
            grants.push(v1::Grant { repositories: vec!["**".to_owned()], tags: vec![], actions });
        }
        v1::Caller { uid: caller.uid, user: caller.name.clone().unwrap_or_default(), grants }
    }

    async fn send_ledger(
        &self,
        caller: &Caller,
        gun: &str,
        pages: &mpsc::Sender<Result<v1::LedgerResponse, Status>>,
    ) -> Result<(), Refusal> {
        let gun = if gun.is_empty() { None } else { Some(convert::gun("gun", gun)?) };
        let mut after: Option<Slot> = None;
        loop {
            let (gun, from) = (gun.clone(), after.clone());
            let read = move |view: &View<'_>| view.ledger(gun.as_ref(), from.as_ref(), PAGE);
            let page = self.store().read(read).await.map_err(|error: StoreError| Refusal::from(error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.slot.clone());
            let seen = page.iter().filter(|entry| self.policy().sees(caller, &entry.slot.gun));
            let entries: Vec<_> = seen.map(entry_message).collect();
            if !entries.is_empty() && pages.send(Ok(v1::LedgerResponse { entries })).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn let_go(
        self: &Arc<Self>,
        request: v1::ReleaseLedgerRequest,
        desk: &Desk,
    ) -> Result<v1::LedgerEntry, Refusal> {
        let slot = Slot {
            gun: convert::gun("gun", &request.gun)?,
            role: convert::role("role", &request.role)?,
            version: convert::version("version", request.version)?,
        };
        let reason = checked(request.reason)?;
        let caller = &desk.call().caller;
        let intent =
            format!("let go of version {} of {} in {}", slot.version, slot.role, shown(slot.gun.as_str()));
        self.confirm(self.policy().may(caller, Action::Admin), None, desk, &intent).await?;
        let (uid, gun, role, version) =
            (caller.uid, slot.gun.to_string(), slot.role.to_string(), slot.version.get());
        let job = move |tx: &Tx<'_>| {
            tx.let_go(&slot)?;
            tx.append(&Event::LedgerReleased { uid, gun, role, version, reason })?;
            let entries = tx.ledger(Some(&slot.gun), None, u32::MAX)?;
            Ok::<_, LedgerError>(entries.iter().find(|entry| entry.slot == slot).map(entry_message))
        };
        Ok(self.store().write(job).await?.unwrap_or_default())
    }

    async fn believe_clock(
        self: &Arc<Self>,
        reason: String,
        desk: &Desk,
    ) -> Result<v1::ClockBelieved, Refusal> {
        let reason = checked(reason)?;
        let uid = desk.call().caller.uid;
        let right = self.policy().may(&desk.call().caller, Action::Admin);
        let now = self.clock().now();
        self.confirm(right, None, desk, &format!("believe that it is {now}")).await?;
        let job = move |tx: &Tx<'_>| {
            let behind_ms = tx.believe_clock()?;
            tx.append(&Event::ClockBelieved { uid, behind_ms, reason })?;
            Ok::<_, StoreError>(v1::ClockBelieved { behind_ms })
        };
        Ok(self.store().write(job).await?)
    }
}

fn checked(reason: String) -> Result<String, Refusal> {
    if reason.trim().is_empty() || reason.len() > REASON_MAX {
        let why = format!("reason: has to be 1 to {REASON_MAX} bytes long; it goes into the audit");
        return Err(Refusal::new(Reason::InvalidField, why));
    }
    Ok(reason)
}

fn grant_message(grant: &Grant) -> v1::Grant {
    let texts = |globs: &[crate::policy::Glob]| globs.iter().map(ToString::to_string).collect();
    v1::Grant {
        repositories: texts(&grant.repositories),
        tags: grant.tags.as_deref().map(texts).unwrap_or_default(),
        actions: grant.actions.iter().map(ToString::to_string).collect(),
    }
}

fn entry_message(entry: &Entry) -> v1::LedgerEntry {
    v1::LedgerEntry {
        gun: entry.slot.gun.to_string(),
        role: entry.slot.role.to_string(),
        version: entry.slot.version.get(),
        sha256: entry.digest.as_bytes().to_vec(),
        state: entry.state.as_str().to_owned(),
        time_unix_ms: entry.time_ms,
        confirmed: entry.confirmed,
    }
}
