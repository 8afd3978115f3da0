//! DNS over TLS (RFC 7858): hickory's listener around the same answer engine.
//!
//! hickory's `RequestHandler` cannot send octets, so our answer is decoded and handed over as
//! the parts of a message; hickory encodes it again. Header, code, sections, their order and OPT
//! survive.
//!
//! Two limits of hickory 0.26: it logs each query at `info`, and strangers' failed handshakes at
//! `warn`, so whoever sets up logging keeps the target `hickory_server` at `error`; and it bounds
//! how long a connection may be silent ([`PATIENCE`]), but not how many there are.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_server::net::runtime::Time;
use hickory_server::proto::ProtoError;
use hickory_server::proto::op::{Header, Message, ResponseCode};
use hickory_server::proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::counters::{Tallies, bump};
use super::error::BindProblem;
use super::{TlsSpec, answer};
use crate::answer::{Asker, Transport};
use crate::clock;
use crate::snapshot::Snapshot;

/// For the handshake, and then from one query to the next.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the certificate and the key, and makes sure that they fit.
pub(super) fn server_config(spec: &TlsSpec) -> Result<ServerConfig, Vec<BindProblem>> {
    let certificates = CertificateDer::pem_file_iter(&spec.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|found| match found.is_empty() {
            true => Err(PemError::NoItemsFound),
            false => Ok(found),
        })
        .map_err(|error| BindProblem::Certificate {
            path: spec.certificate.clone(),
            why: in_words(&error, "a certificate"),
        });
    let key = PrivateKeyDer::from_pem_file(&spec.key).map_err(|error| BindProblem::Key {
        path: spec.key.clone(),
        why: in_words(&error, "a private key"),
    });
    let (certificates, key) = match (certificates, key) {
        (Ok(certificates), Ok(key)) => (certificates, key),
        (certificates, key) => {
            return Err(certificates.err().into_iter().chain(key.err()).collect());
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|error| {
            vec![BindProblem::Pair {
                certificate: spec.certificate.clone(),
                key: spec.key.clone(),
                why: error.to_string(),
            }]
        })?;
    config.alpn_protocols = vec![b"dot".to_vec()];
    Ok(config)
}

/// What is wrong with a PEM file that should hold `wanted`.
fn in_words(error: &PemError, wanted: &str) -> String {
    if let PemError::Io(error) = error {
        return error.to_string();
    }
    if matches!(error, PemError::NoItemsFound) {
        return format!("does not contain {wanted}");
    }
    format!("is not PEM: {error}")
}

/// The thin handler: octets in, parts of a message out.
pub(super) struct Handler {
    pub(super) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(super) tallies: Arc<Tallies>,
}

/// Our answer, decoded.
struct Decoded {
    message: Message,
    /// The question as the client wrote it, letter case included.
    question: Queries,
}

impl Decoded {
    fn read(octets: &[u8]) -> Result<Decoded, ProtoError> {
        let mut decoder = BinDecoder::new(octets);
        let header = Header::read(&mut decoder)?;
        Ok(Decoded {
            question: Queries::read(&mut decoder, usize::from(header.counts.queries))?,
            message: Message::from_vec(octets)?,
        })
    }
}

impl Handler {
    /// The answer of the engine, or `None` if nothing is to be sent.
    fn answer(&self, request: &Request) -> Option<Result<Decoded, ProtoError>> {
        let mut octets = Vec::new();
        let snapshot = self.snapshots.load();
        let (query, tally) = (request.as_slice(), &self.tallies.tls);
        let asker = Asker {
            transport: Transport::Encrypted,
            client: request.src().ip(),
            now: clock::wall(),
            idle: Some(PATIENCE),
        };
        let answered = answer(&snapshot, query, &asker, &mut octets, tally);
        answered.then(|| Decoded::read(&octets))
    }

    async fn handle(&self, request: &Request, mut client: impl ResponseHandler) -> ResponseInfo {
        let tally = &self.tallies.tls;
        bump(&tally.queries, 1);
        let sent = match self.answer(request) {
            Some(Ok(Decoded { message, question })) => {
                let mut response = MessageResponseBuilder::new(&question, None).build(
                    message.metadata,
                    &message.answers,
                    &message.authorities,
                    [],
                    &message.additionals,
                );
                if let Some(edns) = &message.edns {
                    response.set_edns(edns);
                }
                client.send_response(response).await.ok()
            }
            // An answer of ours that hickory cannot read is a defect; the client learns that
            // it is not to blame.
            Some(Err(_)) => {
                let builder = MessageResponseBuilder::from_message_request(request);
                let response = builder.error_msg(&request.metadata, ResponseCode::ServFail);
                client.send_response(response).await.ok()
            }
            None => None,
        };
        let counter = if sent.is_some() {
            &tally.responses
        } else {
            &tally.dropped
        };
        bump(counter, 1);
        sent.unwrap_or_else(|| nothing_sent(request))
    }
}

impl RequestHandler for Handler {
    // What `#[async_trait]` would write here.
    fn handle_request<'handler, 'request, 'future, R, T>(
        &'handler self,
        request: &'request Request,
        client: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'future>>
    where
        'handler: 'future,
        'request: 'future,
        R: ResponseHandler + 'future,
        T: Time + 'future,
        Self: 'future,
    {
        Box::pin(self.handle(request, client))
    }
}

/// hickory wants to know what was sent even when nothing was.
fn nothing_sent(request: &Request) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata: request.metadata,
        counts: Default::default(),
    })
}
