use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::guarded::file;
use crate::support::Served;

/// An authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this machine, and its key.
    fn issue(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Whether a server answers somebody who trusts an authority, and shows a certificate.
fn answers(url: &str, authority: &Authority, shown: Option<&(String, String)>) -> Result<u16, String> {
    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap().to_owned();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&[root]))
        .unversioned_rustls_crypto_provider(provider);
    if let Some((certificate, key)) = shown {
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap().to_owned();
        let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
    }
    let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls.build()).build();
    let agent: ureq::Agent = config.into();
    agent
        .get(format!("{url}/stores"))
        .call()
        .map(|answer| answer.status().as_u16())
        .map_err(|error| error.to_string())
}

fn put(dir: &Path, (certificate, key): &(String, String)) {
    file(dir, "cert.pem", certificate);
    file(dir, "key.pem", key);
}

fn serve(files: &TempDir, more: &[&str]) -> Served {
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let mut arguments = vec!["--tls-certificate", &certificate, "--tls-key", &key];
    arguments.extend(more);
    Served::on(TempDir::new().unwrap(), &arguments)
}

#[test]
fn a_new_certificate_takes_the_place_of_the_old_one_without_a_restart() {
    let (first, second) = (Authority::new(), Authority::new());
    let files = TempDir::new().unwrap();
    put(files.path(), &first.issue());
    let served = serve(&files, &[]);
    assert!(served.url.starts_with("https://"), "{}", served.url);
    assert_eq!(answers(&served.url, &first, None), Ok(200));
    assert!(answers(&served.url, &second, None).is_err());
    let plain = ureq::get(served.url.replace("https:", "http:")).call();
    assert!(plain.is_err(), "it speaks TLS alone");
    // What is wrong changes nothing: half of a pair, or no certificate at all.
    let new = second.issue();
    for wrong in ["", "nonsense", &new.0] {
        file(files.path(), "cert.pem", wrong);
        std::thread::sleep(Duration::from_secs(6));
        assert_eq!(answers(&served.url, &first, None), Ok(200), "{wrong:.20}");
    }
    put(files.path(), &new);
    let mut answered = answers(&served.url, &second, None);
    for _ in 0..60 {
        if answered.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
        answered = answers(&served.url, &second, None);
    }
    assert_eq!(answered, Ok(200));
    assert!(answers(&served.url, &first, None).is_err());
}

#[test]
fn clients_show_a_certificate_where_they_have_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = TempDir::new().unwrap();
    put(files.path(), &authority.issue());
    let roots = file(files.path(), "clients.pem", &authority.pem);
    let served = serve(&files, &["--tls-client-ca", roots.to_str().unwrap()]);
    let known = authority.issue();
    assert_eq!(answers(&served.url, &authority, Some(&known)), Ok(200));
    assert!(answers(&served.url, &authority, None).is_err(), "none is shown");
    assert!(answers(&served.url, &authority, Some(&other.issue())).is_err(), "one of another authority");
    // The command line shows one too.
    let certificate = file(files.path(), "client.pem", &known.0);
    let key = file(files.path(), "client-key.pem", &known.1);
    let run = |shows: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(["store", "list", "--url", &served.url, "--ca-file"]).arg(&roots);
        if shows {
            command.arg("--certificate-file").arg(&certificate).arg("--certificate-key-file").arg(&key);
        }
        command.output().unwrap()
    };
    let shown = run(true);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(!run(false).status.success());
}

#[test]
fn settings_of_tls_that_are_wrong_stop_the_start() {
    let authority = Authority::new();
    let files = TempDir::new().unwrap();
    let (mine, theirs) = (authority.issue(), authority.issue());
    for (certificate, key, says) in [
        ("", &*mine.1, "holds no certificate"),
        (&*mine.0, "", "holds no private key"),
        (&*mine.0, &*theirs.1, "cert.pem"),
    ] {
        put(files.path(), &(certificate.to_owned(), key.to_owned()));
        for verb in ["serve", "config"] {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"))
                .args([verb, "--listen", "127.0.0.1:0", "--data"])
                .arg(files.path().join("data"))
                .arg("--tls-certificate")
                .arg(files.path().join("cert.pem"))
                .arg("--tls-key")
                .arg(files.path().join("key.pem"))
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(2) && told.contains(says), "{verb}: {told}");
        }
    }
}
