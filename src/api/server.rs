//! The server: listens, answers, and ends without breaking off what it has begun.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::app::ApiSettings;
use super::front::Api;
use super::metrics::Gauge;
use super::observers::ObserveError;
use super::tls::{Tls, TlsError};
use crate::engine::Engine;

/// How long requests that were begun may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How often what may change while the server runs is read anew.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long it takes a breath when the system gives it no more connections.
const BREATH: Duration = Duration::from_millis(100);
/// What a connection beyond those that may be open is told.
const FULL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 93\r\n\r\n\
    {\"code\":\"rate_limit_exceeded\",\"message\":\"the server has as many connections as it may have\"}\n";
/// The file in a data directory that names the server which has it open.
pub const URL_FILE: &str = "stonetown.url";

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// There is no TLS to be had of what is given for it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What is to be told of requests has nowhere to go.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The data directory cannot be told who serves it.
    #[error("cannot write `{}`: {cause}", path.display())]
    UrlFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
}

/// A server that listens, and is about to answer.
pub struct Server {
    listener: TcpListener,
    api: Api,
    tls: Option<Arc<Tls>>,
    open: Arc<Semaphore>,
    url: String,
    address: SocketAddr,
    url_file: PathBuf,
}

impl Server {
    /// Listens, and leaves the URL in the data directory.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn bind(
        engine: Arc<Engine>,
        settings: ApiSettings,
        address: SocketAddr,
    ) -> Result<Server, ServerError> {
        let listen = |cause| ServerError::Listen { address, cause };
        let tls = settings.tls.clone().map(Tls::new).transpose()?.map(Arc::new);
        let open_max = settings.limits.connections.open_max;
        let public_url = settings.public_url.clone();
        let url_file = engine.dir().join(URL_FILE);
        let api = Api::new(engine, settings)?;
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
        // A certificate is for a name, not for an address.
        let told = public_url.filter(|_| tls.is_some()).unwrap_or_else(|| url.clone());
        std::fs::write(&url_file, format!("{told}\n"))
            .map_err(|cause| ServerError::UrlFile { path: url_file.clone(), cause })?;
        let open = Arc::new(Semaphore::new(open_max.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Server { listener, api, tls, open, url, address, url_file })
    }

    /// Its URL, by the address that it listens at.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done; then ends what has been begun, for at most ten seconds.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Server { listener, api, tls, open, url_file, .. } = self;
        let (stopping, stopped) = watch::channel(false);
        // Every connection holds one end of it, so that the other end tells when all are gone.
        let (alive, mut gone) = mpsc::channel::<()>(1);
        let preparing = api.clone();
        let preparing = tokio::spawn(async move { preparing.prepare().await });
        let mut rereading = vec![tokio::spawn(reread("who may call", api.metrics().stale("access"), {
            let api = api.clone();
            move || api.look()
        }))];
        rereading.extend(tls.clone().map(|tls| {
            tokio::spawn(reread("the certificate", api.metrics().stale("certificate"), move || tls.look()))
        }));
        let accept = async {
            loop {
                let (connection, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    // The client has gone again, or there is not one more descriptor to be had.
                    Err(error) => {
                        if !is_of_client(&error) {
                            tokio::time::sleep(BREATH).await;
                        }
                        continue;
                    }
                };
                let Ok(place) = Arc::clone(&open).try_acquire_owned() else {
                    api.metrics().connections_refused.inc();
                    turn_away(&connection);
                    continue;
                };
                // Answers are small: waiting to fill a packet only delays them. A connection without it works too.
                let _ = connection.set_nodelay(true);
                let (api, stopped, alive, tls) = (api.clone(), stopped.clone(), alive.clone(), tls.clone());
                tokio::spawn(async move {
                    api.metrics().connections.inc();
                    serve(&api, tls.as_deref(), connection, from, stopped).await;
                    api.metrics().connections.dec();
                    drop((place, alive));
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop => {}
        }
        drop((listener, alive));
        stopping.send_replace(true);
        api.stop_watches();
        let ended = async {
            gone.recv().await;
            // A client that has gone takes its connection with it, and not what it had begun.
            api.finish_acts().await;
        };
        // What is not done by then is broken off.
        let _ = tokio::time::timeout(GRACE, ended).await;
        preparing.abort();
        rereading.iter().for_each(tokio::task::JoinHandle::abort);
        api.stop_traces().await;
        // The next process to open the directory writes its own.
        let _ = std::fs::remove_file(&url_file);
    }
}

/// Serves one connection to its end.
async fn serve(
    api: &Api,
    tls: Option<&Tls>,
    connection: TcpStream,
    from: SocketAddr,
    stopped: watch::Receiver<bool>,
) {
    let address: Arc<str> = from.ip().to_string().into();
    let Some(tls) = tls else { return api.serve_connection(connection, address, stopped).await };
    match tokio::time::timeout(HANDSHAKE_TIME, tls.acceptor().accept(connection)).await {
        Ok(Ok(connection)) => api.serve_connection(connection, address, stopped).await,
        Ok(Err(error)) => {
            api.metrics().handshakes_failed.inc();
            tracing::debug!(%address, %error, "a client and the server do not agree on TLS");
        }
        Err(_) => drop(api.metrics().handshakes_failed.inc()),
    }
}

/// Reads something anew, for ever. `look` says whether it has changed, or what is wrong: then what was in force stays.
async fn reread(
    what: &'static str,
    stale: Gauge,
    look: impl Fn() -> Result<bool, String> + Send + Sync + 'static,
) {
    let look = Arc::new(look);
    let mut told = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let look = Arc::clone(&look);
        // Nothing in it panics.
        let Ok(looked) = tokio::task::spawn_blocking(move || look()).await else { continue };
        stale.set(looked.is_err().into());
        if let Ok(true) = looked {
            tracing::info!("{what} was read anew");
        }
        let problem = looked.err();
        if let Some(problem) = problem.as_ref().filter(|problem| told.as_ref() != Some(*problem)) {
            tracing::error!(problem, "{what} cannot be read anew and stays as it was");
        }
        told = problem;
    }
}

fn is_of_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Tells a client that there is no room, as far as it can be told without waiting.
fn turn_away(connection: &TcpStream) {
    let _ = connection.try_write(FULL);
}

#[cfg(test)]
mod tests {
    use super::FULL;

    #[test]
    fn what_is_told_at_the_door_is_a_whole_response() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(length.parse(), Ok(body.len()));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
