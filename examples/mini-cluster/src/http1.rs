//! Just enough HTTP/1.1 for the demo: one request or one response at a time over any byte stream.
//!
//! The demo application reads requests with it, the demo and the HTTP probes read responses. Bodies need a
//! `content-length` or end with the connection; heads and bodies are bounded. Deliberately absent: chunked bodies,
//! pipelining, TLS. The API and the registry are served by hyper, not by this.

use std::io::{self, BufRead, Read, Write};

/// The longest head or body that is read.
const LIMIT: u64 = 64 * 1024;

/// A request as the demo application sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`, `POST`.
    pub(crate) method: String,
    /// The path without its query.
    pub(crate) path: String,
    /// The text after `?`, or nothing.
    pub(crate) query: String,
    /// Whether the client wants to send another request on this connection.
    pub(crate) keep_alive: bool,
}

impl Request {
    /// The value of `name` in the query, undecoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }
}

/// An answer: what a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The whole body.
    pub(crate) body: Vec<u8>,
    /// Whether the server will read another request on this connection.
    pub(crate) keep_alive: bool,
}

impl Response {
    /// The body as text, with replacement characters where it is none.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one request; `None` at a clean end of the stream.
pub(crate) fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(head) = read_head(stream)? else { return Ok(None) };
    let mut words = head.first.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed("request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let keep_alive = head.keep_alive(version == "HTTP/1.1");
    let mut body = stream.take(head.length.unwrap_or(0));
    io::copy(&mut body, &mut io::sink())?;
    Ok(Some(Request { method: method.into(), path: path.into(), query: query.into(), keep_alive }))
}

/// Writes one answer.
pub(crate) fn write_response(
    stream: &mut impl Write,
    status: u16,
    media_type: &str,
    body: &[u8],
    keep_alive: bool,
) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Answer",
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut answer = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    stream.write_all(&answer)?;
    stream.flush()
}

/// Writes one request without a body.
pub(crate) fn write_request(
    stream: &mut impl Write,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(String, String)],
    keep_alive: bool,
) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: {connection}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        request.push_str("content-length: 0\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()
}

/// Reads one answer.
pub(crate) fn read_response(stream: &mut impl BufRead) -> io::Result<Response> {
    let Some(head) = read_head(stream)? else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed before an answer"));
    };
    let mut words = head.first.split(' ');
    let version = words.next().filter(|word| word.starts_with("HTTP/1.")).ok_or_else(|| malformed("status line"))?;
    let status = words.next().and_then(|word| word.parse().ok()).ok_or_else(|| malformed("status"))?;
    let mut body = Vec::new();
    let mut limited = stream.take(head.length.unwrap_or(LIMIT).min(LIMIT));
    limited.read_to_end(&mut body)?;
    if head.length.is_some_and(|length| length != body.len() as u64) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "body cut short"));
    }
    Ok(Response { status, body, keep_alive: head.length.is_some() && head.keep_alive(version == "HTTP/1.1") })
}

struct Head {
    first: String,
    length: Option<u64>,
    connection: Option<String>,
}

impl Head {
    fn keep_alive(&self, default: bool) -> bool {
        match self.connection.as_deref() {
            Some("close") => false,
            Some("keep-alive") => true,
            _ => default,
        }
    }
}

fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut limited = stream.take(LIMIT);
    let mut line = String::new();
    if limited.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut head = Head { first: line.trim_end().to_owned(), length: None, connection: None };
    loop {
        line.clear();
        if limited.read_line(&mut line)? == 0 {
            return Err(malformed("head"));
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(head));
        }
        let Some((name, value)) = text.split_once(':') else { return Err(malformed("header")) };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = Some(value.trim().parse().map_err(|_| malformed("content-length"))?),
            "connection" => head.connection = Some(value.trim().to_ascii_lowercase()),
            _ => {}
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_as_it_was_written() {
        let mut bytes = Vec::new();
        write_response(&mut bytes, 503, "text/plain", b"failing\n", false).unwrap();
        let answer = read_response(&mut bytes.as_slice()).unwrap();
        assert_eq!(answer, Response { status: 503, body: b"failing\n".to_vec(), keep_alive: false });
    }

    #[test]
    fn a_request_is_read_back_with_its_query() {
        let mut bytes = Vec::new();
        write_request(&mut bytes, "POST", "web", "/fail?for=3&x=1", &[], true).unwrap();
        let request = read_request(&mut bytes.as_slice()).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/fail"));
        assert_eq!(request.parameter("for"), Some("3"));
        assert!(request.keep_alive);
    }

    #[test]
    fn cut_and_garbled_answers_are_errors() {
        assert!(read_response(&mut &b""[..]).is_err());
        assert!(read_response(&mut &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"[..]).is_err());
        assert!(read_response(&mut &b"SMTP hello\r\n\r\n"[..]).is_err());
        assert!(read_request(&mut &b"GET /\r\n\r\n"[..]).is_err());
    }
}
