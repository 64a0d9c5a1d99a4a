//! Service `Audit`: the record, as it is hashed.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use touchmark_proto::reason::Refusal;
use touchmark_proto::v1;
use tracing::Instrument as _;

use super::Service;
use super::call::Call;
use super::desk::Events;
use crate::app::App;
use crate::policy::{Action, Caller, Decision};
use crate::store::StoreError;

/// Rows read at once: at most 48 KiB each.
const PAGE: u32 = 64;
/// Signed heads in one answer: some 270 bytes each.
const HEADS: u32 = 4096;

#[tonic::async_trait]
impl v1::audit_server::Audit for Service {
    type ReadStream = Events<v1::AuditRow>;

    async fn read(
        &self,
        request: Request<v1::AuditReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let call = Call::of(&request)?;
        let app = Arc::clone(&self.0);
        let request = request.into_inner();
        let (rows, stream) = mpsc::channel(1);
        let task = async move {
            if let Err(refusal) = app.send_rows(&call.caller, request, &rows).await {
                drop(rows.send(Err(app.refused(&call, refusal))).await);
            }
        };
        tokio::spawn(task.in_current_span());
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn head(
        &self,
        request: Request<v1::AuditHeadRequest>,
    ) -> Result<Response<v1::AuditHeadResponse>, Status> {
        let call = Call::of(&request)?;
        let from = request.get_ref().signed_from_seq;
        // A client remembers it: so it has to be on the disk, or a crash would look like a cut tail.
        let head = self
            .0
            .store()
            .read_settled(move |view| {
                Ok::<_, StoreError>((view.audit_head()?, view.signed_heads(from, HEADS)?))
            })
            .await
            .map_err(|error| self.0.refused(&call, error.into()))?;
        let (head, signed) = head;
        Ok(Response::new(v1::AuditHeadResponse { seq: head.seq, hash: head.hash.to_vec(), signed }))
    }
}

impl App {
    async fn send_rows(
        &self,
        caller: &Caller,
        request: v1::AuditReadRequest,
        rows: &mpsc::Sender<Result<v1::AuditRow, Status>>,
    ) -> Result<(), Refusal> {
        let whole =
            caller.uid == self.own_uid() || self.policy().may(caller, Action::Admin) == Decision::Allowed;
        let mut next = request.from_seq.max(1);
        let mut left = if request.limit == 0 { u64::MAX } else { request.limit };
        loop {
            let page = self.store().read_settled(move |view| view.audit_rows(next, PAGE)).await?;
            let Some(last) = page.last().map(|row| row.seq) else { return Ok(()) };
            // What waits for a slow reader counts as held.
            let bytes = page.iter().map(|row| row.json.len()).sum::<usize>();
            let _share = self.budget().take(caller.uid, u64::try_from(bytes).unwrap_or(u64::MAX))?;
            for row in page {
                if left == 0 {
                    return Ok(());
                }
                if whole || self.may_see(caller, &row) {
                    left -= 1;
                    if rows.send(Ok(row)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            next = last.saturating_add(1);
        }
    }

    /// Others than administrators see what concerns their repositories. Rows left out show as gaps in `seq`.
    fn may_see(&self, caller: &Caller, row: &v1::AuditRow) -> bool {
        let Some(fields) = touchmark_proto::audit::fields(&row.json) else { return false };
        let sees = |gun: &str| gun.parse().is_ok_and(|gun| self.policy().sees(caller, &gun));
        fields.get("gun").and_then(|gun| gun.as_str()).is_some_and(sees)
    }
}
