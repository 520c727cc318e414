//! HTTP by hand: a request as text, an answer as parts, and a registry that answers whatever a case wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::util::Step;

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Step<Answer> {
    let mut stream = TcpStream::connect(address)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "PUT" | "POST" | "PATCH") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut answer = Answer { status: status(&mut reader)?, ..Answer::default() };
    answer.headers = read_headers(&mut reader)?;
    reader.read_to_end(&mut answer.body)?;
    Ok(answer)
}

fn status(reader: &mut impl std::io::BufRead) -> Step<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.split(' ').nth(1).unwrap_or_default().parse()?)
}

fn read_headers(reader: &mut impl std::io::BufRead) -> Step<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => return Ok(headers),
        }
    }
}

/// A registry on loopback that gives each path the answer of a function: status, headers and content. It lives as long
/// as the process.
pub(crate) fn fake(
    answer: impl Fn(&str, &str) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + Sync + 'static,
) -> Step<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            std::thread::spawn(move || serve(&stream, &*answer));
        }
    });
    Ok(address)
}

type Script = dyn Fn(&str, &str) -> (u16, Vec<(&'static str, String)>, Vec<u8>);

fn serve(mut stream: &TcpStream, answer: &Script) -> Step<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    read_headers(&mut reader)?;
    let (status, headers, body) = answer(method, path);
    let mut head = format!("HTTP/1.1 {status} Some\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(stream.shutdown(std::net::Shutdown::Write)?)
}
