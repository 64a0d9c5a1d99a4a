//! One call: who made it, and the id by which log, audit and client name it.

use tonic::{Request, Status};
use touchmark_proto::reason::{Reason, Refusal};

use crate::audit::RequestId;
use crate::policy::Caller;

/// Who calls, and the call's id. Put into each request by the gate.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) id: RequestId,
}

impl Call {
    /// Of a request that came through the gate.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get().cloned().ok_or_else(|| {
            Refusal::new(Reason::Internal, "a request came in without passing the gate").into_status()
        })
    }
}
