//! One HTTP/1.1 connection: keep-alive, no pipelining, everything in buffers that are used again.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Headers of a response that are looked at.
const HEADERS_MAX: usize = 32;
/// A response beyond this is an error.
const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response as it stands in the buffer of its connection.
pub(crate) struct Response<'a> {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and beginning of the body, for messages.
    pub(crate) fn shown(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        format!("status {}, body {body}", self.status)
    }
}

/// What the head of a response says.
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

impl Connection {
    /// Connects, with `TCP_NODELAY`.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 16 << 10] })
    }

    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < request.len() {
            let count =
                poll_fn(|context| Pin::new(&mut self.stream).poll_write(context, &request[sent..])).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent += count;
        }
        Ok(())
    }

    /// Sends a request and reads its response.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.send(request).await?;
        let mut filled = 0;
        let mut head = None;
        loop {
            let count = read(&mut self.stream, &mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
            }
            filled += count;
            if head.is_none() {
                head = parse(&self.buffer[..filled])?;
            }
            if let Some(Head { status, bytes, body_bytes }) = head {
                let all = bytes + body_bytes;
                if filled == all {
                    return Ok(Response { status, body: &self.buffer[bytes..all] });
                }
                if filled > all {
                    return Err(io::Error::other("more was answered than asked for"));
                }
                if all > self.buffer.len() {
                    self.buffer.resize(all.next_power_of_two(), 0);
                }
            } else if filled == self.buffer.len() {
                return Err(io::Error::other("the head of a response is too long"));
            }
        }
    }
}

/// Reads what is there, at least a byte unless the other side has closed. tokio waits at once after a read that did not fill
/// the space, as most do: no call of the system is made in vain.
async fn read(stream: &mut TcpStream, space: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| {
        let mut space = ReadBuf::new(space);
        Pin::new(&mut *stream).poll_read(context, &mut space).map_ok(|()| space.filled().len())
    })
    .await
}

/// The head, when it is there as a whole.
fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes).map_err(io::Error::other)? {
        httparse::Status::Complete(end) => end,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let length = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
    let body_bytes = match length {
        Some(length) => std::str::from_utf8(length.value)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|&bytes| bytes <= RESPONSE_BYTES_MAX)
            .ok_or_else(|| io::Error::other("the content length is none"))?,
        None if status == 204 || status == 304 => 0,
        None => return Err(io::Error::other("the response has no content length")),
    };
    Ok(Some(Head { status, bytes: end, body_bytes }))
}

/// Appends a POST request with a JSON body.
pub(crate) fn post(request: &mut Vec<u8>, path: &str, body: &[u8]) {
    request.extend_from_slice(b"POST ");
    request.extend_from_slice(path.as_bytes());
    request.extend_from_slice(
        b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ",
    );
    push_number(request, body.len());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(body);
}

/// Appends a number in decimal digits, without the formatting machinery.
pub(crate) fn push_number(text: &mut Vec<u8>, number: usize) {
    let begin = text.len();
    let mut rest = number;
    loop {
        text.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text[begin..].reverse();
}
