//! What the server itself asks over HTTP: issuers of tokens, and collectors of traces.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// A larger answer is none.
const BYTES_MAX: u64 = 1 << 20;

/// Asks others, blocking.
pub(super) struct Outbound(ureq::Agent);

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

impl Outbound {
    /// Asks each time for at most so long. `authorities` are certificates in PEM that servers have to have theirs of; none: those of the
    /// system.
    pub(super) fn new(authorities: Option<&[u8]>, time_max: Duration) -> Outbound {
        Outbound(agent(authorities, time_max))
    }

    /// Asks once, and only there: it follows no redirection.
    ///
    /// # Errors
    /// There is no answer. One that refuses is an answer.
    pub(super) fn ask(&self, request: Request<&[u8]>) -> Result<Response<Vec<u8>>, ureq::Error> {
        whole(self.0.run(request)?)
    }

    /// What is at an URL.
    ///
    /// # Errors
    /// It cannot be had.
    pub(super) fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let answer = self.0.get(url).call().and_then(whole).map_err(|error| format!("{url}: {error}"))?;
        if answer.status().is_success() {
            Ok(answer.into_body())
        } else {
            Err(format!("{url}: it answers {}", answer.status()))
        }
    }
}

/// An answer with all of its body.
fn whole(mut answer: Response<ureq::Body>) -> Result<Response<Vec<u8>>, ureq::Error> {
    let body = answer.body_mut().with_config().limit(BYTES_MAX).read_to_vec()?;
    Ok(answer.map(|_| body))
}

fn agent(authorities: Option<&[u8]>, time_max: Duration) -> ureq::Agent {
    let roots = match authorities {
        None => RootCerts::PlatformVerifier,
        Some(pem) => {
            let certificates = CertificateDer::pem_slice_iter(pem).flatten();
            let certificates: Vec<_> = certificates.map(|it| Certificate::from_der(&it).to_owned()).collect();
            RootCerts::new_with_certs(&certificates)
        }
    };
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    ureq::Agent::config_builder()
        .timeout_global(Some(time_max))
        .max_redirects(0)
        .max_redirects_will_error(true)
        .http_status_as_error(false)
        .tls_config(tls)
        .build()
        .into()
}
