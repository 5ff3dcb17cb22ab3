//! Encryption: one configuration for all connections, made once.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::dial::Failed;
use crate::health::AwayReason;
use crate::secret::Secret;

/// How to encrypt. By default the certificate authorities of this machine are believed, and no
/// certificate of our own is shown.
///
/// # Example: a server whose certificate an authority of your own has signed
///
/// ```
/// use rate_limit_redis::{RedisRepository, TlsOptions};
///
/// # fn build(authority: Vec<u8>) {
/// let builder = RedisRepository::builder("rediss://redis.internal")
///     .tls(TlsOptions::new().ca_certificate_pem(authority));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    authority: Option<Vec<u8>>,
    certificate: Option<(Vec<u8>, Secret)>,
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes the certificates that these authorities have signed, and no others. In PEM form.
    pub fn ca_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// Shows this certificate to servers that ask for one. Certificate and key in PEM form.
    pub fn client_certificate_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<String>,
    ) -> Self {
        self.certificate = Some((certificate.into(), Secret::new(key.into())));
        self
    }
}

/// Encrypts connections.
#[derive(Clone)]
pub(crate) struct Encryption {
    connector: TlsConnector,
}

impl Encryption {
    /// Reads the options. The text of an error names what is wrong and shows no key.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match &options.authority {
            Some(pem) => {
                for certificate in certificates(pem, "CA certificate")? {
                    let added = roots.add(certificate);
                    added.map_err(|error| format!("the CA certificate is not usable: {error}"))?;
                }
            }
            None => {
                // Some that cannot be read are no reason to believe none.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("there is no CA certificate; expected one from this machine or from \
                        `TlsOptions::ca_certificate_pem`"
                .to_owned());
        }
        // Named rather than taken from the process, which panics where two are compiled in.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match &options.certificate {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, "client certificate")?;
                // The parser's error is not repeated, for it could quote the key.
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                    .map_err(|_| "the key of the client certificate is no private key in PEM")?;
                let shown = config.with_client_auth_cert(chain, key);
                shown.map_err(|error| format!("the client certificate is not usable: {error}"))?
            }
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Encrypts `stream` if the server proves to be `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failed> {
        let certificate = |detail: String| AwayReason::Certificate { detail: Arc::from(detail) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| certificate(format!("`{host}` can stand in no certificate")))?;
        let encrypted = self.connector.connect(name, stream).await;
        Ok(encrypted.map_err(|error| {
            let refused = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
            match refused {
                Some(refused) => certificate(refused.to_string()),
                None => AwayReason::Lost { cause: Arc::from(error.to_string()) },
            }
        })?)
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encryption(..)")
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("the {what} is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err(format!("the {what} contains no certificate; expected one in PEM"));
    }
    Ok(chain)
}
