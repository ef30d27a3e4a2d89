//! A collector of traces: takes OpenTelemetry's protocol over HTTP, as those do that people run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// What came to a collector.
pub(crate) struct Collector {
    pub(crate) url: String,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    heads: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

impl Collector {
    /// One that answers each time with this status.
    pub(crate) fn answering(status: u16) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Taken::default()));
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let shared = Arc::clone(&shared);
                // It ends with the client.
                std::thread::spawn(move || {
                    let connection = connection.unwrap();
                    let mut reader = BufReader::new(&connection);
                    while take(&connection, &mut reader, status, &shared).is_ok_and(|goes_on| goes_on) {}
                });
            }
        });
        Collector { url, taken }
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.taken.lock().unwrap().heads.clone()
    }

    /// Everything that was sent, as it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.taken.lock().unwrap().bodies.concat()
    }

    /// The attributes of those who sent.
    pub(crate) fn resources(&self) -> Vec<Vec<KeyValue>> {
        let requests = self.requests().into_iter().flat_map(|request| request.resource_spans);
        requests.map(|spans| spans.resource.unwrap_or_default().attributes).collect()
    }

    /// All spans.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let scopes = self.requests().into_iter().flat_map(|request| request.resource_spans);
        scopes.flat_map(|spans| spans.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let taken = self.taken.lock().unwrap();
        taken.bodies.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()).collect()
    }
}

/// A request, and its answer; whether there may be more.
fn take(
    mut connection: &TcpStream,
    reader: &mut BufReader<&TcpStream>,
    status: u16,
    taken: &Mutex<Taken>,
) -> std::io::Result<bool> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    {
        let mut taken = taken.lock().unwrap();
        taken.heads.push(head);
        taken.bodies.push(body);
    }
    write!(connection, "HTTP/1.1 {status} As planned\r\ncontent-length: 0\r\n\r\n")?;
    Ok(true)
}

/// What a span says under a name, as text.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    let AnyValue { value } = found.value.clone()?;
    Some(match value? {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::DoubleValue(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    })
}
