//! One gRPC call of a service that has no generated code here.

use tonic::Status;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

/// Request in, answer out.
pub(crate) async fn unary<Q, A>(channel: &Channel, path: PathAndQuery, request: Q) -> Result<A, Status>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|cause| Status::unavailable(cause.to_string()))?;
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    grpc.unary(tonic::Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}
