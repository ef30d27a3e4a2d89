//! TLS: the server's certificate, read anew when its files change, and whose clients may connect.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Files of TLS, in PEM.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The certificate, and those up to its authority behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities: clients have to show a certificate of one of them. None: clients need none.
    pub client_authorities: Option<PathBuf>,
}

impl TlsSettings {
    /// Whether its files are what they have to be.
    ///
    /// # Errors
    /// One of them is not.
    pub fn look_at(&self) -> Result<(), TlsError> {
        load(self).map(drop)
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("TLS: `{}`: {problem}", file.display())]
pub struct TlsError {
    file: PathBuf,
    problem: String,
}

/// What connections are taken with.
pub(super) struct Tls {
    settings: TlsSettings,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    files: Digests,
}

/// Of the contents of files; none: it cannot be read.
type Digests = Vec<Option<blake3::Hash>>;

impl Tls {
    /// # Errors
    /// A file cannot be read, or does not hold what it has to.
    pub(super) fn new(settings: TlsSettings) -> Result<Tls, TlsError> {
        let current = RwLock::new(Current { files: digests(&settings), config: load(&settings)? });
        Ok(Tls { settings, current })
    }

    /// Takes a connection with what is in force now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// Reads the files anew: whether they have changed. Connections that are open go on as they began.
    ///
    /// # Errors
    /// They are wrong: what was in force stays.
    pub(super) fn look(&self) -> Result<bool, String> {
        let files = digests(&self.settings);
        if files == self.current.read().unwrap_or_else(PoisonError::into_inner).files {
            return Ok(false);
        }
        let config = load(&self.settings).map_err(|error| error.to_string())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { config, files };
        Ok(true)
    }
}

fn digests(settings: &TlsSettings) -> Digests {
    let files = [&settings.certificate, &settings.key].into_iter().chain(&settings.client_authorities);
    files.map(|file| std::fs::read(file).ok().map(|content| blake3::hash(&content))).collect()
}

fn load(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let of = |file: &Path| {
        let file = file.to_owned();
        move |problem: rustls::Error| TlsError { file: file.clone(), problem: problem.to_string() }
    };
    let chain = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|problem| TlsError {
        file: settings.key.clone(),
        problem: format!("holds no private key in PEM: {problem}"),
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(of(&settings.certificate))?;
    let builder = match &settings.client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(of(file))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier =
                verifier.map_err(|problem| TlsError { file: file.clone(), problem: problem.to_string() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(of(&settings.certificate))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |problem: String| TlsError { file: file.to_owned(), problem };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|problem| wrong(problem.to_string()))?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let certificates = certificates.map_err(|problem| wrong(problem.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("holds no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}
