//! The settings of a server: options, the environment, the file; what `config` prints of them; and that wrong ones stop the start, and say
//! where, what, and what would be right.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// `DIR` in the content stands for the directory.
    fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content.replace("DIR", self.0.path().to_str().unwrap())).unwrap();
        path
    }
}

fn program(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
    command.env_clear().envs(environment.iter().copied()).args(arguments).current_dir(Path::new("/"));
    command.output().unwrap()
}

/// What `config` prints of each setting, and where it says it is from.
#[track_caller]
fn config(arguments: &[&str], environment: &[(&str, &str)]) -> impl Fn(&str) -> (Value, String) + use<> {
    let output = program(&[&["--format", "json", "config"], arguments].concat(), environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    move |name| {
        let line = lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        (line["value"].clone(), line["source"].as_str().unwrap().to_owned())
    }
}

#[test]
fn options_go_before_the_environment_and_that_before_the_file() {
    let files = Files::new();
    let file = files.write(
        "stonetown.toml",
        "data = \"/from/file\"\nlisten = \"127.0.0.1:1\"\ntime_max = \"7s\"\n\nwithout-authentication = true\ncache_mib = 3\n",
    );
    let set = config(
        &["--config", &file, "--listen", "127.0.0.1:3"],
        &[("STONETOWN_LISTEN", "127.0.0.1:2"), ("STONETOWN_TIME_MAX", "8s"), ("STONETOWN_SLOW", "never")],
    );
    let value = |text: &str| Value::from(text);
    assert_eq!(set("listen"), (value("127.0.0.1:3"), "--listen".to_owned()));
    assert_eq!(set("time_max"), (value("8s"), "STONETOWN_TIME_MAX".to_owned()));
    assert_eq!(set("data"), (value("/from/file"), format!("{file}:1")));
    assert_eq!(set("cache_mib"), (value("3"), format!("{file}:6")));
    assert_eq!(set("without_authentication"), (value("true"), format!("{file}:5")));
    assert_eq!(set("slow"), (value("never"), "STONETOWN_SLOW".to_owned()));
    assert_eq!(set("idle_max"), (value("75s"), "default".to_owned()));
    // The file can be named in the environment too.
    let set = config(&[], &[("STONETOWN_CONFIG", &file)]);
    assert_eq!(set("listen"), (value("127.0.0.1:1"), format!("{file}:2")));
}

#[test]
fn what_is_printed_can_be_a_file_of_settings_and_has_no_secret() {
    let files = Files::new();
    files.write("key", "a-secret-0123456789abcdef\n");
    let file = files.write(
        "stonetown.toml",
        "data = \"DIR/data\"\n[[keys]]\nname = \"one\"\nsecret_file = \"DIR/key\"\nstores = [\"*\"]\nrights = [\"check\", \"read\"]\n\
         [[keys]]\nname = \"two\"\nsecret_env = \"TWO\"\nstores = [\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"]\nrights = [\"all\"]\n\
         [[issuers]]\nissuer = \"https://login.example.com\"\naudience = [\"stonetown\"]\nrefresh_every = \"5m\"\n\
         [[issuers.grants]]\nclaim = \"roles\"\nvalue = \"x\"\nstores = [\"*\"]\nrights = [\"explain\"]\n",
    );
    let environment = [("TWO", "another-secret-0123456789")];
    let printed = program(&["config", "--config", &file, "--listen", "0.0.0.0:80"], &environment);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(!text.contains("secret-0123456789"), "{text}");
    assert!(text.contains("listen = \"0.0.0.0:80\"  # --listen"), "{text}");
    let again = files.write("again.toml", &text);
    let printed = program(&["config", "--config", &again], &environment);
    let second = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.status.success(), "{}{text}", String::from_utf8_lossy(&printed.stderr));
    // Only where they come from has changed.
    assert!(second.contains("refresh_every = \"5m\""), "{second}");
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split("  #").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(values(&second), values(&text));
}

#[track_caller]
fn is_refused(arguments: &[&str], environment: &[(&str, &str)], says: &[&str]) {
    for verb in ["serve", "config"] {
        let output = program(&[&[verb], arguments].concat(), environment);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{verb} {arguments:?} was taken");
        assert_eq!(output.status.code(), Some(2), "{verb}: {told}");
        for part in says {
            assert!(told.contains(part), "{verb} {arguments:?} says nothing of `{part}`: {told}");
        }
    }
}

#[test]
fn wrong_settings_of_the_file_are_told_with_their_line() {
    let files = Files::new();
    files.write("key", "a-secret-0123456789abcdef");
    files.write("short", "short");
    files.write("blank", "a-secret 0123456789abcdef");
    let key = |rest: &str| format!("data = \"DIR\"\n[[keys]]\nname = \"one\"\n{rest}");
    let issuer =
        |rest: &str| format!("data = \"DIR\"\n[[issuers]]\nissuer = \"https://login.example.com\"\n{rest}");
    let grants = "stores = [\"*\"]\nrights = [\"all\"]\n";
    let audience = "audience = [\"stonetown\"]\n";
    let right = format!("secret_file = \"DIR/key\"\n{grants}");
    for (content, says) in [
        ("data = \"DIR\"\nlissten = \"x\"\n".to_owned(), &[":2:", "`lissten`", "`listen`"][..]),
        ("listen = \"nowhere\"\n".to_owned(), &[":1:", "`listen`", "nowhere", "invalid"]),
        ("\n\ntime_max = \"soon\"\n".to_owned(), &[":3:", "`time_max`", "soon", "`500ms`"]),
        ("time_max = [1]\n".to_owned(), &[":1:", "`time_max`", "a text, a number"]),
        ("traces_to = \"collector:4318\"\n".to_owned(), &[":1:", "`traces_to`", "https://"]),
        ("trace_share = 2\n".to_owned(), &[":1:", "`trace_share`", "from 0 to 1"]),
        ("cache_mib = \"much\"\n".to_owned(), &[":1:", "`cache_mib`", "much"]),
        ("cache_mib = -1\n".to_owned(), &[":1:", "`cache_mib`"]),
        ("without_authentication = \"maybe\"\n".to_owned(), &[":1:", "`true` or `false`"]),
        (
            "audit_decisions = 1.5\naudit_log = \"x\"\n".to_owned(),
            &[":1:", "`audit_decisions`", "from 0 to 1"],
        ),
        ("public_url = \"access.example.com\"\n".to_owned(), &[":1:", "`public_url`", "https://"]),
        ("cors_origins = \"*.example.com\"\n".to_owned(), &[":1:", "`cors_origins`", "https://", "`none`"]),
        ("data = \"DIR\n".to_owned(), &[":1:"]),
        ("data = \"DIR\"\ndata = \"DIR\"\n".to_owned(), &[":2:", "duplicate"]),
        ("config = \"other.toml\"\n".to_owned(), &[":1:", "`config`"]),
        (key("secret_fil = \"x\"\n"), &["unknown field", "secret_fil"]),
        (key(grants), &["key `one`", "`secret_file` and `secret_env`"]),
        (key(&format!("{right}secret_env = \"X\"\n")), &["key `one`", "`secret_file` and `secret_env`"]),
        (key(&format!("secret_file = \"DIR/none\"\n{grants}")), &["key `one`", "cannot read", "none"]),
        (key(&format!("secret_env = \"NOWHERE\"\n{grants}")), &["key `one`", "NOWHERE"]),
        (key(&format!("secret_file = \"DIR/short\"\n{grants}")), &["key `one`", "at least 16"]),
        (key(&format!("secret_file = \"DIR/blank\"\n{grants}")), &["key `one`", "without blanks"]),
        (
            key("secret_file = \"DIR/key\"\nstores = [\"*\"]\nrights = [\"chek\"]\n"),
            &["key `one`", "`chek`", "`check`"],
        ),
        (key("secret_file = \"DIR/key\"\nstores = [\"*\"]\nrights = []\n"), &["key `one`", "`rights`"]),
        (key("secret_file = \"DIR/key\"\nstores = []\nrights = [\"all\"]\n"), &["key `one`", "`stores`"]),
        (
            key("secret_file = \"DIR/key\"\nstores = [\"mine\"]\nrights = [\"all\"]\n"),
            &["key `one`", "`mine`"],
        ),
        (key("secret_file = \"DIR/key\"\nrights = [\"all\"]\n"), &["missing field", "stores"]),
        (key(&format!("{right}[[keys]]\nname = \"one\"\n{right}")), &["key `one`", "two of this name"]),
        (
            key(&format!("{right}[[keys]]\nname = \"two\"\n{right}")),
            &["key `two`", "the same secret as `one`"],
        ),
        (issuer(&format!("[[issuers.grants]]\n{grants}")), &["missing field", "audience"]),
        (issuer(audience), &["missing field", "grants"]),
        (issuer(&format!("{audience}grants = []\n")), &["[[issuers.grants]]"]),
        (issuer(&format!("{audience}[[issuers.grants]]\nclaim = \"x\"\n{grants}")), &["`claim` and `value`"]),
        (
            issuer(&format!("{audience}refresh_every = \"soon\"\n[[issuers.grants]]\n{grants}")),
            &["`refresh_every`", "soon"],
        ),
        (
            format!(
                "data = \"DIR\"\n[[issuers]]\nissuer = \"http://login.example.com\"\n{audience}[[issuers.grants]]\n{grants}"
            ),
            &["no https URL"],
        ),
    ] {
        let file = files.write("stonetown.toml", &content);
        is_refused(&["--config", &file], &[], says);
        is_refused(&["--config", &file], &[], &["stonetown.toml"]);
    }
}

/// CVE-2026-55689 of OpenFGA: without an audience, tokens for anybody were taken.
#[test]
fn cve_2026_55689_an_issuer_needs_an_audience() {
    let files = Files::new();
    for audience in ["[]", "[\"\"]", "[\"stonetown\", \"\"]"] {
        let content = format!(
            "data = \"DIR\"\n[[issuers]]\nissuer = \"https://login.example.com\"\naudience = {audience}\n\
             [[issuers.grants]]\nstores = [\"*\"]\nrights = [\"all\"]\n"
        );
        let file = files.write("stonetown.toml", &content);
        is_refused(&["--config", &file], &[], &["issuer `https://login.example.com`", "`audience`"]);
    }
}

#[test]
fn wrong_options_are_told() {
    let files = Files::new();
    let data = files.path("data");
    is_refused(&[], &[], &["no data directory", "--data", "STONETOWN_DATA"]);
    is_refused(&["--data", &data, "--listen", "8080"], &[], &["--listen"]);
    is_refused(&["--data", &data], &[("STONETOWN_TIME_MAX", "0s")], &["--time-max", "500ms"]);
    is_refused(&["--data", &data, "--tls-key", "x"], &[], &["--tls-certificate"]);
    for origin in [
        "",
        "https://a.example/",
        "https://a.example/page",
        "https://A.example",
        "a.example",
        "https://u@a.example",
        "https://*.a.example",
        "https://a.example:443",
        "https://a.example:",
        "https://a.example#x",
        "https://a.example,",
    ] {
        is_refused(
            &["--data", &data, "--cors-origins", origin],
            &[],
            &["--cors-origins", "such as https://"],
        );
    }
    is_refused(&["--data", &data, "--audit-decisions", "0.5"], &[], &["--audit-log"]);
    is_refused(&["--data", &data, "--log-level", "loud"], &[], &["--log-level", "debug"]);
    let missing = files.path("none.toml");
    let output = program(&["serve", "--config", &missing], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("none.toml"), "{told}");
    let output = program(&["serve", "--data", &data, "--admin-key-file", &missing], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("--admin-key-file") && told.contains("none.toml"),
        "{told}"
    );
    assert!(!Path::new(&data).exists(), "nothing has been begun");
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    let data = Files::new().path("data");
    for (option, url) in [
        ("--traces-to", "http://me:PLANTED@collector:4318"),
        ("--public-url", "https://PLANTED@access.example.com"),
    ] {
        let output = program(&["serve", "--listen", "127.0.0.1:0", "--data", &data, option, url], &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(option) && told.contains("has a user"), "{told}");
        assert!(!told.contains("PLANTED"), "{told}");
    }
}

#[test]
fn others_can_reach_it_only_where_they_have_to_show_something_or_that_is_meant() {
    let files = Files::new();
    let (data, key) = (files.path("data"), files.write("key", "a-secret-0123456789abcdef"));
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let says = ["others can reach", "--without-authentication", "keys or issuers"];
        is_refused(&["--data", &data, "--listen", address], &[], &says);
    }
    for more in [&["--without-authentication"][..], &["--admin-key-file", &key]] {
        let set = config(&[&["--data", &data, "--listen", "0.0.0.0:80"], more].concat(), &[]);
        assert_eq!(set("listen").0, Value::from("0.0.0.0:80"));
    }
    for address in ["127.0.0.1:0", "127.1.2.3:0", "[::1]:0"] {
        assert_eq!(config(&["--data", &data, "--listen", address], &[])("listen").0, Value::from(address));
    }
}

#[test]
fn an_audit_log_that_cannot_be_written_stops_the_start() {
    let files = Files::new();
    let (data, log) = (files.path("data"), files.path("none/audit.jsonl"));
    let output = program(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--audit-log", &log], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("audit log") && told.contains("none/audit.jsonl"),
        "{told}"
    );
}

/// What is no text was shown in the error that says so.
#[test]
fn a_secret_of_the_environment_that_is_no_text_is_refused_and_not_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let files = Files::new();
    let content = "data = \"DIR/data\"\n[[keys]]\nname = \"one\"\nsecret_env = \"ONE\"\nstores = [\"*\"]\nrights = [\"all\"]\n";
    let file = files.write("stonetown.toml", content);
    for verb in ["serve", "config"] {
        let output = Command::new(env!("CARGO_BIN_EXE_stonetown"))
            .args([verb, "--config", &file])
            .env("ONE", OsStr::from_bytes(b"PLANTED-0123456789-\xff"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && told.contains("key `one`") && told.contains("ONE"),
            "{told}"
        );
        assert!(!told.contains("PLANTED"), "{told}");
    }
}
