//! Notary's own signing service over the only way in that it has, mutual TLS over TCP: `/proto.Signer/Sign` with a key
//! that it made (`ecdsa`, which is P-256). It records and checks nothing.

use std::sync::Arc;

use hsm_tests::ca::Ca;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::load::Client;
use crate::unary::unary;

/// Bytes to sign: as many as a targets document of the other side has.
const CONTENT: usize = 600;

#[derive(Clone, PartialEq, prost::Message)]
struct CreateKeyRequest {
    #[prost(string, tag = "1")]
    algorithm: String,
    #[prost(string, tag = "2")]
    gun: String,
    #[prost(string, tag = "3")]
    role: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyId {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyInfo {
    #[prost(message, optional, tag = "1")]
    key_id: Option<KeyId>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PublicKey {
    #[prost(message, optional, tag = "1")]
    key_info: Option<KeyInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignatureRequest {
    #[prost(message, optional, tag = "1")]
    key_id: Option<KeyId>,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Signature {
    #[prost(bytes = "vec", tag = "3")]
    content: Vec<u8>,
}

/// One client with a key and a connection of its own.
pub(crate) struct NotaryClient {
    channel: Channel,
    request: SignatureRequest,
}

impl NotaryClient {
    /// As many clients of the signer at this port.
    pub(crate) async fn connect(ca: &Ca, port: u16, count: usize) -> Vec<Self> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = channel(ca, port).await;
            let [algorithm, gun, role] = ["ecdsa", "example.com/bench", "snapshot"].map(ToOwned::to_owned);
            let path = PathAndQuery::from_static("/proto.KeyManagement/CreateKey");
            let made: PublicKey =
                unary(&channel, path, CreateKeyRequest { algorithm, gun, role }).await.expect("a key");
            let key_id = made.key_info.and_then(|info| info.key_id);
            assert!(key_id.is_some(), "notary-signer names no key");
            clients
                .push(Self { channel, request: SignatureRequest { key_id, content: vec![b'x'; CONTENT] } });
        }
        clients
    }
}

impl Client for NotaryClient {
    async fn ask(&mut self) -> u32 {
        let path = PathAndQuery::from_static("/proto.Signer/Sign");
        let signature: Signature =
            unary(&self.channel, path, self.request.clone()).await.expect("a signature");
        assert_eq!(signature.content.len(), 64, "r and s");
        1
    }
}

async fn channel(ca: &Ca, port: u16) -> Channel {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
    let pair = ca.issue();
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.unwrap(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connect = move |_: Uri| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
            tcp.set_nodelay(true)?;
            let tls = connector.connect("localhost".try_into().unwrap(), tcp).await?;
            Ok::<_, std::io::Error>(TokioIo::new(tls))
        }
    };
    let endpoint = Endpoint::from_static("https://localhost");
    endpoint.connect_with_connector(service_fn(connect)).await.expect("notary-signer")
}
