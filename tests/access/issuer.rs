use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// An OpenID provider over HTTP: its configuration, and its keys.
pub(super) struct Provider {
    pub(super) url: String,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// The keys that it publishes.
    published: Mutex<Vec<Jwk>>,
    /// How often they were fetched.
    fetched: AtomicUsize,
    is_broken: Mutex<bool>,
    /// What its configuration says to be its name, and where its keys are; none: the truth.
    lies: Mutex<(Option<String>, Option<String>)>,
}

/// A key that tokens are signed with.
pub(super) struct SigningKey {
    id: String,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl SigningKey {
    pub(super) fn elliptic(id: &str) -> SigningKey {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        SigningKey { id: id.to_owned(), key, algorithm: Algorithm::ES256 }
    }

    /// On another curve.
    pub(super) fn of_384_bits(id: &str) -> SigningKey {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        SigningKey { id: id.to_owned(), key, algorithm: Algorithm::ES384 }
    }

    pub(super) fn public(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        jwk
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }

    /// One that has to be understood in a way that nobody here knows.
    pub(super) fn sign_critical(&self, claims: &Value) -> String {
        let crit = Some(vec!["unheard-of".to_owned()]);
        let header = Header { kid: Some(self.id.clone()), crit, ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }

    /// One that does not say by which key it is signed.
    pub(super) fn sign_nameless(&self, claims: &Value) -> String {
        encode(&Header::new(self.algorithm), claims, &self.key).unwrap()
    }
}

impl Provider {
    pub(super) fn start(keys: &[&SigningKey]) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let state = Arc::new(State {
            published: Mutex::new(keys.iter().map(|key| key.public()).collect()),
            fetched: AtomicUsize::new(0),
            is_broken: Mutex::new(false),
            lies: Mutex::new((None, None)),
        });
        let (shared, own) = (Arc::clone(&state), url.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                // A client that has gone again asks nothing.
                let _ = answer(connection.unwrap(), &shared, &own);
            }
        });
        Provider { url, address, state }
    }

    pub(super) fn publish(&self, keys: &[&SigningKey]) {
        *self.state.published.lock().unwrap() = keys.iter().map(|key| key.public()).collect();
    }

    pub(super) fn fetched(&self) -> usize {
        self.state.fetched.load(Ordering::SeqCst)
    }

    pub(super) fn set_broken(&self, is_broken: bool) {
        *self.state.is_broken.lock().unwrap() = is_broken;
    }

    pub(super) fn lie(&self, issuer: Option<&str>, keys_at: Option<&str>) {
        *self.state.lies.lock().unwrap() = (issuer.map(str::to_owned), keys_at.map(str::to_owned));
    }

    /// The claims of a token of its own that holds for an hour.
    /// Settings by which all of its tokens have a right.
    pub(super) fn settings(&self, right: &str) -> String {
        format!(
            "[[issuers]]\nissuer = \"{}\"\naudience = [\"stonetown\"]\n[[issuers.grants]]\nstores = [\"*\"]\nrights = [\"{right}\"]\n",
            self.url
        )
    }

    pub(super) fn claims(&self, subject: &str) -> Value {
        json!({ "iss": self.url, "aud": "stonetown", "sub": subject, "exp": now() + 3_600, "iat": now() })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn answer(connection: TcpStream, state: &State, url: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(&connection).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (issuer, keys_at) = state.lies.lock().unwrap().clone();
    let body = match path {
        "/.well-known/openid-configuration" => {
            let keys_at = keys_at.unwrap_or_else(|| format!("{url}/keys"));
            json!({ "issuer": issuer.unwrap_or_else(|| url.to_owned()), "jwks_uri": keys_at })
        }
        "/keys" => {
            state.fetched.fetch_add(1, Ordering::SeqCst);
            json!(JwkSet { keys: state.published.lock().unwrap().clone() })
        }
        _ => Value::Null,
    };
    let is_there = !body.is_null() && !*state.is_broken.lock().unwrap();
    let (status, body) = if is_there { ("200 OK", body.to_string()) } else { ("503 Gone", String::new()) };
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    (&connection).write_all(format!("{head}{body}").as_bytes())
}
