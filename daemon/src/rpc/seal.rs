//! `Signer.SealTranscript`: takes a transcript in within its budget and sends it down its own road.
use std::sync::Arc;

use tonic::{Response, Streaming};
use touchmark_proto::convert::{self, FieldError};
use touchmark_proto::reason::Refusal;
use touchmark_proto::transcript::TRANSCRIPT_MAX;
use touchmark_proto::v1;
use touchmark_proto::v1::seal_transcript_event::Event as Out;
use touchmark_tuf::KeyId;

use super::budget::{Budget, Share};
use super::call::Call;
use super::desk::{Events, stream};
use super::signer::desk_gone;
use super::upload::{self, Announced};
use crate::app::App;
use crate::sign::seal::seal_transcript;

pub(super) fn answer(
    app: &Arc<App>,
    call: Call,
    upload: Streaming<v1::SealTranscriptRequest>,
) -> Response<Events<v1::SealTranscriptEvent>> {
    let wrap = |waiting| v1::SealTranscriptEvent { event: Some(Out::Waiting(waiting)) };
    let own = Arc::clone(app);
    stream(app, call, wrap, move |desk| async move {
        let app = own;
        let (key, text, share) = upload::in_time(receive(app.budget(), desk.call(), upload)).await?;
        app.note_used();
        let call = desk.call();
        let sealing = seal_transcript(app.road(), &call.caller, call.id, &key, text, &desk);
        // Dropping the road's future gives the request up.
        let sealed = tokio::select! {
            sealed = sealing => sealed?,
            () = desk.withdrawn() => return Err(desk_gone()),
        };
        drop(share);
        app.sign_head_if_due(sealed.receipt.seq);
        let seal = v1::TranscriptSeal {
            seq: sealed.chain.seq(),
            head: sealed.chain.head().to_vec(),
            signature: sealed.signature.as_bytes().to_vec(),
            audit_seq: sealed.receipt.seq,
            audit_head: sealed.receipt.hash.to_vec(),
        };
        Ok(v1::SealTranscriptEvent { event: Some(Out::Seal(seal)) })
    })
}

/// Takes a transcript in, and which key is to seal it.
pub(crate) async fn receive(
    budget: &Budget,
    call: &Call,
    mut upload: Streaming<v1::SealTranscriptRequest>,
) -> Result<(KeyId, Vec<u8>, Share), Refusal> {
    let open = upload::open(&mut upload).await?;
    let key = convert::key_id("key_id", &open.key_id)?;
    let announced = Announced::new("transcript".to_owned(), open.length, &open.sha256)?;
    if announced.length > TRANSCRIPT_MAX {
        let why = format!("{} bytes; at most {TRANSCRIPT_MAX} are sealed", announced.length);
        return Err(FieldError::new("transcript", why).into());
    }
    let share = budget.take(call.caller.uid, u64::try_from(announced.length).unwrap_or(u64::MAX))?;
    let text = upload::files(&mut upload, std::slice::from_ref(&announced)).await?.pop();
    Ok((key, text.unwrap_or_default(), share))
}
