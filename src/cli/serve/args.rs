//! The settings of a server, as they are given.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::output::Misunderstood;
use super::access::with_admin;
use super::file::Given;
use crate::api::{
    ApiLimits, ApiSettings, AtOnce, ConnectionLimits, ObserveSettings, Origins, QuotaRates, TlsSettings,
    TraceSettings,
};
use crate::engine::Settings;
use crate::eval::Limits as EvalLimits;

/// Serve a data directory over HTTP: OpenFGA's API, so that its SDKs and its `fga` work.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown serve --data ./data
  stonetown serve --data ./data --write-tuples-max 1000 --log-format json
  stonetown serve --config /etc/stonetown/stonetown.toml
  STONETOWN_DATA=./data STONETOWN_LISTEN=127.0.0.1:9000 stonetown serve
  fga --api-url http://127.0.0.1:8080 store list

Settings are taken from options, then from the environment (--time-max is STONETOWN_TIME_MAX), then from the file that
--config names (time_max = \"3s\"). Keys and issuers of tokens are in that file:

  data = \"/var/lib/stonetown\"
  listen = \"0.0.0.0:8443\"
  tls_certificate = \"/etc/stonetown/cert.pem\"
  tls_key = \"/etc/stonetown/key.pem\"
  [[keys]]
  name = \"voices-backend\"
  secret_file = \"/run/secrets/voices\"      # or secret_env = \"VOICES_KEY\"
  stores = [\"01KAMZ4A7Y1B5D9GHJ3KMNPQRS\"]  # or [\"*\"]
  rights = [\"check\", \"read\"]             # check read write schema explain admin metrics, or all
  [[issuers]]
  issuer = \"https://login.example.com\"
  audience = [\"stonetown\"]
  [[issuers.grants]]
  claim = \"roles\"                         # without claim and value: every token of the issuer
  value = \"access-admin\"
  stores = [\"*\"]
  rights = [\"all\"]

They are read anew within seconds when their files change. `stonetown config` prints what is in force, and from where. Where
nobody has to show a key or token, it listens at this machine's own addresses only, unless --without-authentication is
given.

The other commands ask it while it runs: by --url, or by --data with its data directory. It runs until it is told to stop
(SIGINT or SIGTERM); requests that were begun are answered first. The API is described at /openapi.json.")]
pub(in crate::cli) struct ServeArgs {
    /// The file of settings, in TOML; keys and issuers of tokens are there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The data directory; made when it is not there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Listen also where others can reach, although nobody has to show a key or token
    #[arg(long, help_heading = ACCESS)]
    without_authentication: bool,

    /// A file with a key whose holder may do everything
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    admin_key_file: Option<PathBuf>,

    /// The certificate, in PEM, with those up to its authority behind it; read anew when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = ACCESS)]
    tls_certificate: Option<PathBuf>,

    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = ACCESS)]
    tls_key: Option<PathBuf>,

    /// Authorities, in PEM: clients have to show a certificate of one of them. Where there are no keys or issuers, whoever has one may
    /// do everything
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = ACCESS)]
    tls_client_ca: Option<PathBuf>,

    /// Where clients find the server, such as https://access.example.com; without it, AuthZEN's discovery goes by what requests say
    #[arg(long, value_name = "URL", value_parser = parse_url, help_heading = ACCESS)]
    public_url: Option<String>,

    /// From which web pages browsers may ask: `*`, `none`, or origins with commas between them, such as https://console.example.com.
    /// What a page of another origin sends is refused
    #[arg(long, value_name = "ORIGINS", default_value = "*", help_heading = ACCESS)]
    cors_origins: Origins,

    /// Add acts of administration to this file, as lines of JSON
    #[arg(long, value_name = "FILE", help_heading = TOLD)]
    audit_log: Option<PathBuf>,

    /// The share of decisions of checks that are added too, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share, help_heading = TOLD)]
    audit_decisions: f64,

    /// Log requests that take as long, such as `200ms`; `never`
    #[arg(long, value_name = "TIME|never", default_value = "1s", value_parser = parse_pause, help_heading = TOLD)]
    slow: Pause,

    /// Send traces to this collector, which takes OpenTelemetry's protocol over HTTP, such as http://127.0.0.1:4318; headers for it
    /// are taken from OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, value_name = "URL", value_parser = parse_url, help_heading = TOLD)]
    traces_to: Option<String>,

    /// The share of requests that are traced, from 0 to 1; one that comes with a `traceparent` is traced when that says so
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = parse_share, help_heading = TOLD)]
    trace_share: f64,

    /// What is logged to standard error
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, help_heading = TOLD)]
    log_level: LogLevel,

    /// In which form
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogFormat::Text, help_heading = TOLD)]
    log_format: LogFormat,

    /// Have RocksDB count what it does, for the metrics; a read in memory takes some percent longer for it
    #[arg(long, value_name = "true|false", default_value_t = true, action = clap::ArgAction::Set, help_heading = TOLD)]
    rocksdb_statistics: bool,

    /// MiB of blocks of table files kept in memory
    #[arg(long, value_name = "N", default_value_t = Settings::default().database.block_cache_bytes >> 20)]
    cache_mib: usize,

    /// MiB of decisions kept between checks; 0: none. They are never stale
    #[arg(long, value_name = "N", default_value_t = Settings::default().decision_cache_bytes >> 20)]
    decision_cache_mib: usize,

    /// Most tuples in one write, deletions included
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().write_tuples_max)]
    write_tuples_max: usize,

    /// Most checks in one batch
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().batch_checks_max)]
    batch_checks_max: usize,

    /// Most contextual tuples of one question
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().contextual_tuples_max)]
    contextual_tuples_max: usize,

    /// Most bytes of a request
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().body_bytes_max)]
    body_bytes_max: usize,

    /// MiB of a list, or of the names that a search finds, that is not streamed: it is held in memory
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().answer_bytes_max >> 20)]
    answer_mib_max: usize,

    /// Most usersets and parents that a check follows one after the other
    #[arg(long, value_name = "N", default_value_t = EvalLimits::default().depth_max, help_heading = LIMITS)]
    depth_max: u32,

    /// Most look-ups and rows that a check reads
    #[arg(long, value_name = "N", default_value_t = EvalLimits::default().reads_max, help_heading = LIMITS)]
    reads_max: u64,

    /// How long a check, or a batch of checks, may take
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_time, help_heading = LIMITS)]
    time_max: Duration,

    /// How long a list, a read or an expansion may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time, help_heading = LIMITS)]
    list_time_max: Duration,

    /// How long a streamed list, a diff, an explanation, an audit or a matrix may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_time, help_heading = LIMITS)]
    long_time_max: Duration,

    /// Checks that are worked on at once, but for short ones, which are answered as they come; 0: as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = LOAD)]
    checks_at_once: usize,

    /// Lists, reads, expansions and searches that are worked on at once; 0: as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = LOAD)]
    lists_at_once: usize,

    /// Writes that are worked on at once; they share what the disk does
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().writes, help_heading = LOAD)]
    writes_at_once: usize,

    /// Diffs, explanations, audits and matrices that are worked on at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().analyses, help_heading = LOAD)]
    analyses_at_once: usize,

    /// Streamed lists that are sent at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().streams, help_heading = LOAD)]
    streams_at_once: usize,

    /// Imports, exports, backups and upkeep that are worked on at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().bulk, help_heading = LOAD)]
    bulk_at_once: usize,

    /// Watches that are open at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().watches, help_heading = LOAD)]
    watches_max: usize,

    /// What may be read of one store a second, by all requests together: each costs one, and one for every look-up and row;
    /// two seconds' worth may be saved up
    #[arg(long, value_name = "N", help_heading = LOAD)]
    store_quota: Option<NonZeroU64>,

    /// The same for all requests of one key or token; where none has to be shown, from one address
    #[arg(long, value_name = "N", help_heading = LOAD)]
    caller_quota: Option<NonZeroU64>,

    /// Connections that are open at once
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().open_max, help_heading = CONNECTIONS)]
    connections_max: usize,

    /// Most bytes of the head of a request
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().head_bytes_max, help_heading = CONNECTIONS)]
    head_bytes_max: usize,

    /// How long a connection may be without a whole head of a request
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = parse_time, help_heading = CONNECTIONS)]
    idle_max: Duration,

    /// How long the body of a request may take to come
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time, help_heading = CONNECTIONS)]
    body_time_max: Duration,

    /// MiB of bodies above 64 KiB that are held in memory at once
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().bodies_bytes_max >> 20, help_heading = CONNECTIONS)]
    bodies_mib_max: usize,

    /// Let clients have backups made in this directory and below (`stonetown backup`); without it, nobody can
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,

    /// How often ended tuples and the past that need not be kept are collected, such as `60s`; `never`
    #[arg(long, value_name = "TIME|never", default_value = "60s", value_parser = parse_pause)]
    collect_every: Pause,
}

const ACCESS: &str = "Who may call";
const TOLD: &str = "What is told";
const LIMITS: &str = "Limits of a request";
const LOAD: &str = "Load: who finds no room is answered 429";
const CONNECTIONS: &str = "Connections";

fn parse_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("write a time such as `500ms`, `3s` or `10m`".to_owned()),
    }
}

fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let is_right = (url.starts_with("https://") || url.starts_with("http://"))
        && url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some() && uri.query().is_none());
    if is_right {
        Ok(url.to_owned())
    } else {
        Err("write a URL such as https://access.example.com".to_owned())
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1, such as 0.01".to_owned())
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// What went wrong.
    Error,
    /// And what looks wrong, and slow requests.
    Warn,
    /// And what happens to the server.
    Info,
    /// And every request.
    Debug,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        })
    }
}

/// The form of what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// A time; none: never.
#[derive(Debug, Clone, Copy)]
struct Pause(Option<Duration>);

fn parse_pause(text: &str) -> Result<Pause, String> {
    match humantime::parse_duration(text) {
        _ if text == "never" => Ok(Pause(None)),
        Ok(pause) if !pause.is_zero() => Ok(Pause(Some(pause))),
        _ => Err("write `never`, or a time such as `60s` or `1h`".to_owned()),
    }
}

/// The settings in force, looked at.
pub(in crate::cli) struct Effective {
    pub(super) data: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) engine: Settings,
    pub(super) api: ApiSettings,
    pub(super) collect_every: Option<Duration>,
    pub(super) log_level: LogLevel,
    pub(super) log_format: LogFormat,
}

impl ServeArgs {
    /// The file of settings, where one is named.
    pub(in crate::cli) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// What the settings come to.
    ///
    /// # Errors
    /// They contradict each other, or a file that they name is not what it has to be.
    pub(in crate::cli) fn effective(&self, given: &Given) -> anyhow::Result<Effective> {
        let data = self.data.clone().ok_or_else(|| {
            Misunderstood::new("no data directory: say `--data <DIR>`, STONETOWN_DATA, or `data = \"DIR\"` in the file of settings")
        })?;
        let admin_key_file = self.admin_key_file.as_deref();
        let mut access = with_admin(given.access.clone(), admin_key_file)?;
        access.reread = given.access_files(self.config(), admin_key_file).reread();
        let is_open = access.is_open() && self.tls_client_ca.is_none();
        if is_open && !self.listen.ip().is_loopback() && !self.without_authentication {
            return Err(Misunderstood::new(format_args!(
                "others can reach {}, and nobody has to show a key or token: name keys or issuers in the file of settings \
                 (`stonetown serve --help` shows how), or say `--without-authentication`",
                self.listen
            ))
            .into());
        }
        if self.audit_decisions > 0.0 && self.audit_log.is_none() {
            return Err(
                Misunderstood::new("`--audit-decisions` needs `--audit-log <FILE>`: where they go").into()
            );
        }
        for (name, url) in [("traces-to", &self.traces_to), ("public-url", &self.public_url)] {
            // A URL is shown, in logs and elsewhere; so this one is not, here.
            if url.as_ref().is_some_and(|url| url.contains('@')) {
                return Err(Misunderstood::new(format_args!(
                    "the URL of `--{name}` has a user in it: leave that out; what a collector asks for is a header, in OTEL_EXPORTER_OTLP_HEADERS"
                ))
                .into());
            }
        }
        let mut engine = Settings::default();
        engine.database.create = true;
        engine.database.block_cache_bytes = self.cache_mib << 20;
        engine.decision_cache_bytes = self.decision_cache_mib << 20;
        engine.database.statistics = self.rocksdb_statistics;
        engine.limits.depth_max = self.depth_max;
        engine.limits.reads_max = self.reads_max;
        engine.limits.time_max = self.time_max;
        let tls = self.tls_certificate.clone().zip(self.tls_key.clone());
        let tls = tls.map(|(certificate, key)| TlsSettings {
            certificate,
            key,
            client_authorities: self.tls_client_ca.clone(),
        });
        if let Some(tls) = &tls {
            tls.look_at().map_err(Misunderstood::new)?;
        }
        let observe = ObserveSettings {
            slow: self.slow.0,
            audit_log: self.audit_log.clone(),
            audited_decisions: self.audit_decisions,
            traces: self.traces_to.clone().map(|to| TraceSettings { to, share: self.trace_share }),
        };
        let api = ApiSettings {
            limits: self.limits(),
            access,
            tls,
            public_url: self.public_url.clone(),
            origins: self.cors_origins.clone(),
            observe,
        };
        Ok(Effective {
            data,
            listen: self.listen,
            engine,
            api,
            collect_every: self.collect_every.0,
            log_level: self.log_level,
            log_format: self.log_format,
        })
    }

    fn limits(&self) -> ApiLimits {
        let usual = AtOnce::default();
        ApiLimits {
            body_bytes_max: self.body_bytes_max,
            write_tuples_max: self.write_tuples_max,
            batch_checks_max: self.batch_checks_max,
            contextual_tuples_max: self.contextual_tuples_max,
            answer_bytes_max: self.answer_mib_max << 20,
            list_time_max: self.list_time_max,
            long_time_max: self.long_time_max,
            at_once: AtOnce {
                checks: if self.checks_at_once == 0 { usual.checks } else { self.checks_at_once },
                lists: if self.lists_at_once == 0 { usual.lists } else { self.lists_at_once },
                writes: self.writes_at_once,
                analyses: self.analyses_at_once,
                streams: self.streams_at_once,
                bulk: self.bulk_at_once,
                watches: self.watches_max,
            },
            quotas: QuotaRates {
                store: self.store_quota.map(NonZeroU64::get),
                caller: self.caller_quota.map(NonZeroU64::get),
            },
            connections: ConnectionLimits {
                open_max: self.connections_max,
                head_bytes_max: self.head_bytes_max,
                idle_max: self.idle_max,
                body_time_max: self.body_time_max,
                bodies_bytes_max: self.bodies_mib_max << 20,
            },
            backup_dir: self.backup_dir.clone(),
        }
    }
}
