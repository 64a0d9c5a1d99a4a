//! The gRPC services: decode, call one function, encode. Nothing is decided here, and only `status` knows how a
//! refusal looks on the wire.

mod audit;
pub(crate) mod budget;
pub(crate) mod call;
mod daemon;
pub(crate) mod desk;
mod gate;
mod keys;
mod person;
pub(crate) mod seal;
pub(crate) mod signer;
mod status;
mod tokens;
mod upload;
pub(crate) mod vault;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio_stream::Stream;
use tonic::transport::Server;
use touchmark_proto::v1;
use touchmark_proto::v1::audit_server::AuditServer;
use touchmark_proto::v1::daemon_server::DaemonServer;
use touchmark_proto::v1::keys_server::KeysServer;
use touchmark_proto::v1::signer_server::SignerServer;
use touchmark_proto::v1::tokens_server::TokensServer;
use touchmark_proto::v1::vault_server::VaultServer;

pub(crate) use status::of_token;

use crate::app::App;
use crate::listen::Conn;

/// The largest message that is read, in bytes: a chunk, or a request with all that it announces.
const MESSAGE_MAX: usize = 128 * 1024;
/// Requests under way on one connection.
const STREAMS: u32 = 32;
/// Header bytes of one request.
const HEADERS_MAX: u32 = 8 * 1024;
/// Flow-control windows: large enough that an upload is not slowed by round trips, small enough that what nobody reads
/// is little on as many connections as one user may have.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_ANSWER: Duration = Duration::from_secs(5);
/// Until the first byte of an answer; streams go on as long as they like.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// One service, by the part of the daemon that it speaks for.
#[derive(Clone)]
struct Service(Arc<App>);

/// Serves connections until `stop` is done and requests under way have ended.
pub(crate) async fn serve(
    app: Arc<App>,
    incoming: impl Stream<Item = std::io::Result<Conn>>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SignerServer<Service>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut server = Server::builder()
        .layer(gate::GateLayer(Arc::clone(&app)))
        .timeout(ANSWER_TIME)
        .max_concurrent_streams(STREAMS)
        .concurrency_limit_per_connection(usize::try_from(STREAMS).unwrap_or(32))
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(64))
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_ANSWER))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let service = Service(app);
    let mut router = server
        .add_service(health_service)
        .add_service(SignerServer::new(service.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(KeysServer::new(service.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(TokensServer::new(service.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(VaultServer::new(service.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(AuditServer::new(service.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(DaemonServer::new(service).max_decoding_message_size(MESSAGE_MAX));
    // Both are built from the set that this very program was built with.
    if let (Ok(v1), Ok(v1alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
        router = router.add_service(v1).add_service(v1alpha);
    } else {
        tracing::error!("server reflection is off: the descriptors of the API cannot be read");
    }
    router.serve_with_incoming_shutdown(incoming, stop).await
}
