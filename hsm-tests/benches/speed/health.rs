//! The gRPC health check: the emptiest request that the daemon answers.

use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;

use crate::load::Client;
use crate::unary::unary;

/// `grpc.health.v1.HealthCheckResponse.SERVING`
const SERVING: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthAnswer {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Whether the daemon serves.
pub(crate) async fn is_serving(channel: &Channel) -> Result<bool, Status> {
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let answer: HealthAnswer = unary(channel, path, HealthRequest {}).await?;
    Ok(answer.status == SERVING)
}

/// A client that asks for nothing else: what gRPC alone takes of a signature's time.
pub(crate) struct Empty(pub(crate) Channel);

impl Client for Empty {
    async fn ask(&mut self) -> u32 {
        assert!(is_serving(&self.0).await.unwrap());
        1
    }
}
