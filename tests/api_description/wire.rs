use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::description::Answer;

/// A request, every byte of which can be wrong.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Sent in chunks of so many bytes.
    pub(super) chunk: Option<usize>,
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\nhost: 127.0.0.1\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        match self.chunk {
            None if self.body.is_empty() && self.method == "GET" => bytes.extend_from_slice(b"\r\n"),
            None => {
                bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
                bytes.extend_from_slice(&self.body);
            }
            Some(size) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(size.max(1)) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

/// A connection that is kept as long as the server keeps it.
pub(super) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    /// The head of the request that was last answered on the connection.
    pub(super) last: Option<String>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Client {
        Client { address, connection: None, last: None }
    }

    /// Forgets the connection: what is left on it is no answer to the next request.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Whether the next request goes over the same connection.
    pub(super) fn is_kept(&self) -> bool {
        self.connection.is_some()
    }

    /// Sends a request and reads its answer. Nothing may take longer than ten seconds.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.set_write_timeout(Some(Duration::from_secs(10)))?;
                BufReader::new(stream)
            }
        };
        connection.get_mut().write_all(&request.bytes())?;
        let answer = read(&mut connection, request.method == "HEAD")?;
        let is_over = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !is_over {
            self.connection = Some(connection);
            let head =
                [request.method.as_bytes(), b" ", &request.target[..request.target.len().min(200)]].concat();
            let (head, length) = (String::from_utf8_lossy(&head), request.body.len());
            self.last = Some(format!("{head}, {length} bytes, {:?}, {:?}", request.chunk, request.headers));
        }
        Ok(answer)
    }
}

fn read(connection: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<Answer> {
    let (status, mut headers) = loop {
        let line = line(connection)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let headers = header_lines(connection)?;
        // 100: go on.
        if status >= 200 {
            break (status, headers);
        }
    };
    let value = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if is_head || status == 204 {
    } else if value("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let size = line(connection)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            let before = body.len() as u64;
            connection.by_ref().take(size).read_to_end(&mut body)?;
            let is_whole = body.len() as u64 == before + size && line(connection)?.is_empty();
            if !is_whole {
                return Err(io::Error::other("a broken chunk"));
            }
        }
        headers.extend(header_lines(connection)?);
    } else {
        let length = value("content-length").and_then(|length| length.parse::<u64>().ok());
        let length = length.ok_or_else(|| io::Error::other("neither a length nor chunks"))?;
        connection.by_ref().take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
    Ok(Answer { status, headers, body })
}

fn header_lines(connection: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(connection)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => return Ok(headers),
        }
    }
}

fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\r\n") {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}
