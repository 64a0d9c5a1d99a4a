//! Service `Signer`: takes a request's bytes in within their budget, sends them down the road, and gives out what
//! was signed last.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};
use touchmark_proto::convert::{self, FieldError};
use touchmark_proto::reason::{Reason, Refusal};
use touchmark_proto::v1::sign_event::Event as Out;
use touchmark_proto::{CHUNK_MAX, SIGN_MAX, v1};
use touchmark_tuf::RoleName;
use tracing::Instrument as _;

use super::Service;
use super::budget::{Budget, Share};
use super::call::Call;
use super::desk::{Events, Failure, stream};
use super::seal;
use super::upload::{self, Announced};
use crate::app::App;
use crate::policy::{Action, Caller, Decision, Need};
use crate::sign::{AcceptRoot, DocumentToSign, Seen, SignRequest, SignedAll};
use crate::store::StoreError;
use crate::store::documents::{Kept, Source};

/// Documents and bases in one request.
const PARTS_MAX: usize = 1024;

#[tonic::async_trait]
impl v1::signer_server::Signer for Service {
    type SignStream = Events<v1::SignEvent>;

    async fn sign(
        &self,
        request: Request<Streaming<v1::SignRequest>>,
    ) -> Result<Response<Self::SignStream>, Status> {
        let call = Call::of(&request)?;
        let app = Arc::clone(&self.0);
        let upload = request.into_inner();
        let wrap = |waiting| v1::SignEvent { event: Some(Out::Waiting(waiting)) };
        Ok(stream(&self.0, call, wrap, move |desk| async move {
            let received = upload::in_time(receive(app.budget(), desk.call(), upload));
            let (request, share) = received.await?;
            app.note_used();
            let id = request.id;
            let signing = crate::sign::sign(app.road(), &desk.call().caller, request, &desk);
            // Dropping the road's future gives the request up.
            let signed = tokio::select! {
                signed = signing => signed?,
                () = desk.withdrawn() => return Err(desk_gone()),
            };
            drop(share);
            app.sign_head_if_due(signed.receipt.seq);
            Ok(v1::SignEvent { event: Some(Out::Signed(signed_message(&signed, &id.to_string()))) })
        }))
    }

    type SealTranscriptStream = Events<v1::SealTranscriptEvent>;

    async fn seal_transcript(
        &self,
        request: Request<Streaming<v1::SealTranscriptRequest>>,
    ) -> Result<Response<Self::SealTranscriptStream>, Status> {
        let call = Call::of(&request)?;
        Ok(seal::answer(&self.0, call, request.into_inner()))
    }

    type LastStream = Events<v1::LastChunk>;

    async fn last(&self, request: Request<v1::LastRequest>) -> Result<Response<Self::LastStream>, Status> {
        let call = Call::of(&request)?;
        let kept = self.0.last_for(&call.caller, request.get_ref()).await;
        let kept = kept.map_err(|refusal| self.0.refused(&call, refusal))?;
        // What waits for a slow reader counts as held.
        let bytes = kept.iter().map(|shown| shown.kept.signed.len()).sum::<usize>();
        let share = self.0.budget().take(call.caller.uid, u64::try_from(bytes).unwrap_or(u64::MAX));
        let share = share.map_err(|refusal| self.0.refused(&call, refusal))?;
        let (chunks, stream) = mpsc::channel(4);
        let send = async move {
            let _share = share;
            for shown in kept {
                if send_document(&chunks, &shown).await.is_err() {
                    return;
                }
            }
        };
        tokio::spawn(send.in_current_span());
        Ok(Response::new(Events::new(stream)))
    }
}

impl App {
    async fn last_for(&self, caller: &Caller, request: &v1::LastRequest) -> Result<Vec<Shown>, Refusal> {
        let gun = convert::gun("gun", &request.gun)?;
        let role = if request.role.is_empty() { None } else { Some(convert::role("role", &request.role)?) };
        if let Decision::Refused(why) = self.policy().decide(caller, &gun, &[Need::of(Action::Read)])
            && !self.policy().sees(caller, &gun)
        {
            return Err(why.into());
        }
        let (kept, trusted) = self
            .store()
            .read(move |view| {
                let root = view.trusted_root(&gun)?.map(|root| root.version);
                let trusted = root.map(|version| view.kept_at(&gun, &RoleName::Root, version)).transpose()?;
                Ok((view.kept_roles(&gun)?, trusted.flatten()))
            })
            .await
            .map_err(|e: StoreError| Refusal::from(e))?;
        let mut shown = shown(kept, trusted);
        shown.retain(|shown| {
            role.as_ref().is_none_or(|role| shown.kept.role == *role) && shown.is_wanted(request)
        });
        Ok(shown)
    }
}

/// A document that `Last` shows.
struct Shown {
    kept: Kept,
    /// A root that lacks signatures of other keys.
    incomplete: bool,
    /// Such a root with no trusted one before it, and without signatures of its own: a crash took what began the
    /// repository, and it is signed again as any other document is.
    alone: bool,
}

impl Shown {
    fn is_wanted(&self, request: &v1::LastRequest) -> bool {
        let is_signed = !self.kept.signatures.is_empty();
        if self.incomplete {
            request.incomplete || request.unsigned && self.alone
        } else {
            request.unsigned || is_signed
        }
    }
}

/// The last documents, the trusted root among them. The last root that was signed may not be that yet.
fn shown(kept: Vec<Kept>, trusted: Option<Kept>) -> Vec<Shown> {
    let whole = |kept| Shown { kept, incomplete: false, alone: false };
    let mut shown = Vec::with_capacity(kept.len() + 1);
    for kept in kept {
        let is_trusted = trusted.as_ref().is_some_and(|trusted| trusted.version >= kept.version);
        if kept.role != RoleName::Root || is_trusted {
            shown.push(whole(kept));
            continue;
        }
        let alone = trusted.is_none() && kept.signatures.is_empty();
        shown.extend(trusted.clone().map(whole));
        shown.push(Shown { kept, incomplete: true, alone });
    }
    shown
}

async fn send_document(
    chunks: &mpsc::Sender<Result<v1::LastChunk, Status>>,
    shown: &Shown,
) -> Result<(), mpsc::error::SendError<Result<v1::LastChunk, Status>>> {
    let document = &shown.kept;
    // Without signatures it cannot be published; it may be signed again as it is.
    let (file, is_unsigned) = match document.file() {
        Some(file) => (file, false),
        None => (document.signed.clone(), true),
    };
    let mut parts = file.chunks(CHUNK_MAX - 1024);
    let first = v1::LastChunk {
        role: document.role.to_string(),
        version: document.version.get(),
        length: u64::try_from(file.len()).unwrap_or(u64::MAX),
        data: parts.next().unwrap_or_default().to_vec(),
        unpublished: document.source == Source::Signed && !document.published,
        unsigned: is_unsigned,
        incomplete: shown.incomplete,
    };
    chunks.send(Ok(first)).await?;
    for part in parts {
        chunks.send(Ok(v1::LastChunk { data: part.to_vec(), ..Default::default() })).await?;
    }
    Ok(())
}

/// Takes a request in: what it announces is admitted first, and its bytes are what it announced.
pub(crate) async fn receive(
    budget: &Budget,
    call: &Call,
    mut upload: Streaming<v1::SignRequest>,
) -> Result<(SignRequest, Share), Refusal> {
    let open = upload::open(&mut upload).await?;
    let gun = convert::gun("gun", &open.gun)?;
    let parts = open.documents.len() + open.bases.len();
    if open.documents.is_empty() || parts.max(open.seen.len()) > PARTS_MAX {
        return Err(FieldError::new("documents", format!("1 to {PARTS_MAX} are signed at once")).into());
    }
    let bases =
        open.bases.iter().enumerate().map(|(i, base)| announced("bases", i, base.length, &base.sha256));
    let documents = open
        .documents
        .iter()
        .enumerate()
        .map(|(i, document)| announced("documents", i, document.length, &document.sha256));
    let announced = bases.chain(documents).collect::<Result<Vec<_>, _>>()?;
    let total = announced.iter().fold(0_usize, |sum, one| sum.saturating_add(one.length));
    if total > SIGN_MAX {
        return Err(
            FieldError::new("documents", format!("{total} bytes; at most {SIGN_MAX} are taken")).into()
        );
    }
    let share = budget.take(call.caller.uid, u64::try_from(total).unwrap_or(u64::MAX))?;
    let mut files = upload::files(&mut upload, &announced).await?.into_iter();
    let mut base_files = Vec::with_capacity(open.bases.len());
    for (i, base) in open.bases.iter().enumerate() {
        base_files.push((role("bases", i, &base.role)?, files.next().unwrap_or_default()));
    }
    let mut to_sign = Vec::with_capacity(open.documents.len());
    for (i, document) in open.documents.iter().enumerate() {
        let ids = document.key_ids.iter().map(|id| convert::key_id(&format!("documents[{i}].key_ids"), id));
        to_sign.push(DocumentToSign {
            role: role("documents", i, &document.role)?,
            key_ids: ids.collect::<Result<_, _>>()?,
            bytes: files.next().unwrap_or_default(),
        });
    }
    let accept_root = open.accept_root.as_ref().map(acceptance).transpose()?.flatten();
    let seen = open.seen.iter().enumerate().map(|(i, one)| seen(i, one)).collect::<Result<Vec<_>, _>>()?;
    Ok((SignRequest { id: call.id, gun, documents: to_sign, bases: base_files, accept_root, seen }, share))
}

fn role(list: &str, i: usize, text: &str) -> Result<RoleName, FieldError> {
    convert::role(&format!("{list}[{i}].role"), text)
}

fn seen(i: usize, seen: &v1::Seen) -> Result<Seen, FieldError> {
    let digest = match seen.sha256.as_slice() {
        [] => None,
        digest => Some(convert::sha256(&format!("seen[{i}].sha256"), digest)?),
    };
    Ok(Seen { role: role("seen", i, &seen.role)?, digest })
}

fn announced(list: &str, i: usize, length: u64, sha256: &[u8]) -> Result<Announced, FieldError> {
    Announced::new(format!("{list}[{i}]"), length, sha256)
}

fn acceptance(accept: &v1::RootAcceptance) -> Result<Option<AcceptRoot>, FieldError> {
    if !accept.pinned_key_ids.is_empty() {
        let ids = accept.pinned_key_ids.iter().map(|id| convert::key_id("accept_root.pinned_key_ids", id));
        return Ok(Some(AcceptRoot::Pinned(ids.collect::<Result<_, _>>()?)));
    }
    Ok(accept.first_use.then_some(AcceptRoot::FirstUse))
}

fn signed_message(signed: &SignedAll, request_id: &str) -> v1::Signed {
    let documents = signed.documents.iter().map(|document| v1::DocumentSignatures {
        role: document.role.to_string(),
        version: document.version.get(),
        signatures: document.signatures.iter().map(convert::to_wire).collect(),
    });
    v1::Signed {
        documents: documents.collect(),
        audit_seq: signed.receipt.seq,
        audit_head: signed.receipt.hash.to_vec(),
        request_id: request_id.to_owned(),
        differences: signed.differences.clone(),
    }
}

pub(super) fn desk_gone() -> Failure {
    Refusal::new(Reason::Conflict, "the request was withdrawn").into()
}

#[cfg(test)]
mod tests;
