//! The verbs asked of a server over HTTP: OpenFGA's routes, and ours where those say too little.

mod analysis;
mod answer;
mod apply;
mod call;
mod export;
mod import;
mod openfga;
mod questions;
mod schemas;
mod stores;
mod tuples;
mod url;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

pub(super) use answer::{may_be_done, may_come_back};
pub(super) use openfga::{Source, SourceChange};
pub(super) use url::ServerUrl;

use crate::api::URL_FILE;

const CONNECT_TIME: Duration = Duration::from_secs(5);
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// What is shown to a server, and what it has to show.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// Shown as a bearer token.
    pub(super) key: Option<SecretString>,
    /// Authorities, in PEM, that its certificate may be of; none: the system's.
    pub(super) authorities: Option<Vec<u8>>,
    /// A certificate and its private key, in PEM.
    pub(super) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl Identity {
    fn tls(&self) -> anyhow::Result<TlsConfig> {
        let certificates = |pem: &[u8]| -> anyhow::Result<Vec<Certificate<'static>>> {
            let items = ureq::tls::parse_pem(pem).collect::<Result<Vec<_>, _>>();
            let certificates = items.context("is no PEM")?.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            Ok(certificates.collect())
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        tls = match &self.authorities {
            None => tls.root_certs(RootCerts::PlatformVerifier),
            Some(pem) => {
                let roots = certificates(pem).context("the authorities")?;
                if roots.is_empty() {
                    anyhow::bail!("the file of authorities holds no certificate in PEM");
                }
                tls.root_certs(RootCerts::new_with_certs(&roots))
            }
        };
        if let Some((chain, key)) = &self.certificate {
            let chain = certificates(chain).context("the certificate")?;
            let key = PrivateKey::from_pem(key).context("the private key of the certificate")?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        Ok(tls.build())
    }
}

/// A server.
pub(super) struct Client {
    url: ServerUrl,
    agent: Agent,
    /// Shown as a bearer token.
    key: Option<SecretString>,
}

impl Client {
    /// # Errors
    /// What is to be shown to it is not what it has to be.
    pub(super) fn new(url: ServerUrl, identity: &Identity) -> anyhow::Result<Client> {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_global(Some(REQUEST_TIME))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A server is asked directly: nothing on the way has to see who may do what.
            .proxy(None)
            .tls_config(identity.tls()?)
            .build();
        Ok(Client { url, agent: config.new_agent(), key: identity.key.clone() })
    }

    /// The server that has a data directory open, by its own word; none: there is none.
    ///
    /// # Errors
    /// It does not answer: its URL, and why.
    pub(super) fn of_directory(
        dir: &Path,
        identity: &Identity,
    ) -> Result<Option<Client>, (String, anyhow::Error)> {
        let Ok(url) = std::fs::read_to_string(dir.join(URL_FILE)) else { return Ok(None) };
        let url = url.trim();
        let asked = || -> anyhow::Result<Client> {
            let client = Client::new(url.parse().map_err(anyhow::Error::msg)?, identity)?;
            let health = client.get("/healthz").within(CONNECT_TIME).send()?;
            match health.json()?["status"] == "SERVING" {
                true => Ok(client),
                false => anyhow::bail!("another program answers there"),
            }
        };
        asked().map(Some).map_err(|error| (url.to_owned(), error))
    }

    /// Its metrics, as text.
    pub(super) fn metrics(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.get("/metrics").send()?.body).into_owned())
    }

    pub(super) fn url(&self) -> &ServerUrl {
        &self.url
    }
}
