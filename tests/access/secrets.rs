use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::guarded::{Guarded, check, file};
use super::issuer::{Provider, SigningKey};
use crate::support::collector::Collector;

const ADMIN: &str = "PLANTED-admin-0123456789abcdef";
const OTHER: &str = "PLANTED-env-0123456789abcdef";
const COLLECTOR: &str = "PLANTED-collector-0123456789abcdef";
const WRONG: &str = "PLANTED-wrong-0123456789abcdef";

/// Everything that a server shows: logs, the audit log, answers, metrics, traces, the list of processes, what `config` prints, and every file
/// that it writes.
#[test]
fn a_planted_secret_is_found_nowhere() {
    let signing = SigningKey::elliptic("one");
    let provider = Provider::start(&[&signing]);
    let collector = Collector::answering(200);
    let files = TempDir::new().unwrap();
    file(files.path(), "boss", ADMIN);
    let settings = format!(
        "audit_log = \"DIR/audit.jsonl\"\naudit_decisions = 1.0\nslow = \"1us\"\nlog_level = \"debug\"\nlog_format = \"json\"\n\
         traces_to = \"{}\"\ntrace_share = 1.0\n\
         [[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n\
         [[keys]]\nname = \"other\"\nsecret_env = \"OTHER_KEY\"\nstores = [\"*\"]\nrights = [\"all\"]\n\
         [[issuers]]\nissuer = \"{}\"\naudience = [\"stonetown\"]\n[[issuers.grants]]\nstores = [\"*\"]\nrights = [\"all\"]\n",
        collector.url, provider.url
    );
    let settings = settings.replace("DIR", files.path().to_str().unwrap());
    let config = file(files.path(), "stonetown.toml", &settings);
    let data = TempDir::new().unwrap();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.env("OTHER_KEY", OTHER);
        command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer {COLLECTOR}"));
        command
    };
    let mut server = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--data")
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = server.stderr.take().unwrap();
    let logs = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let mut first = [0; 512];
    let count = server.stdout.as_mut().unwrap().read(&mut first).unwrap();
    let first = String::from_utf8_lossy(&first[..count]).into_owned();
    let url = first.split([' ', ',']).find(|word| word.starts_with("http")).unwrap().to_owned();
    let guarded = Guarded::of(&url);
    let mut seen = vec![("the first line", first)];
    let mut ask = |key: Option<&str>, method: &str, path: &str, body: &Value| {
        let answer = guarded.send(key, method, path, body);
        let headers = format!("{:?}", answer.headers);
        seen.push(("an answer", format!("{} {headers} {}", answer.status, answer.body)));
        answer
    };
    let made = ask(Some(ADMIN), "POST", "/stores", &json!({ "name": "a store" }));
    let store = made.body["id"].as_str().unwrap().to_owned();
    let at = |path: &str| format!("/stores/{store}{path}");
    let schema = crate::support::client::schema_json(super::guarded::SCHEMA);
    ask(Some(OTHER), "POST", &at("/authorization-models"), &schema);
    let token = signing.sign(&provider.claims("anne"));
    let stale = signing.sign(&json!({ "iss": provider.url, "aud": "stonetown", "sub": "anne", "exp": 1 }));
    for key in [Some(ADMIN), Some(OTHER), Some(WRONG), Some(&*token), Some(&*stale), None] {
        ask(key, "POST", &at("/check"), &check());
        ask(key, "POST", &at("/check"), &json!({ "nonsense": 1 }));
        ask(key, "GET", "/metrics", &Value::Null);
        ask(key, "DELETE", "/stores/nonsense", &Value::Null);
        ask(key, "GET", &at("/stats"), &Value::Null);
    }
    let metrics = guarded.send(Some(ADMIN), "GET", "/metrics", &Value::Null);
    assert!(metrics.body.to_string().contains("stonetown_refusals"), "{}", metrics.body);
    let shown = std::fs::read(format!("/proc/{}/cmdline", server.id())).unwrap_or_default();
    seen.push(("the list of processes", String::from_utf8_lossy(&shown).into_owned()));
    let printed =
        program().args(["config", "--config"]).arg(&config).arg("--data").arg(data.path()).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    seen.push(("config", String::from_utf8_lossy(&printed.stdout).into_owned()));
    let kill = format!("kill -TERM {}", server.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    server.wait().unwrap();
    let logged = logs.join().unwrap();
    // It is a search of something.
    assert!(logged.contains("slow request") && logged.contains("\"verb\":\"check\""), "{logged}");
    seen.push(("the log", logged));
    let mut folders = vec![data.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                seen.push((
                    "a file of the data directory",
                    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
                ));
            }
        }
    }
    assert!(collector.heads().iter().all(|head| head.contains(COLLECTOR)), "{:?}", collector.heads());
    assert!(collector.spans().iter().any(|span| span.name == "authenticate"));
    seen.push(("the traces", String::from_utf8_lossy(&collector.bytes()).into_owned()));
    let audit = std::fs::read_to_string(files.path().join("audit.jsonl")).unwrap();
    assert!(audit.contains("\"decision\""), "{audit}");
    seen.push(("the audit log", audit));
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in ["PLANTED", &signature(&token), &signature(&stale)] {
        for (place, text) in &seen {
            assert!(!text.contains(secret), "`{secret}` is in {place}: {text}");
        }
    }
}
