//! One record of the log: to and from a line of JSON. Pure.

use std::borrow::Cow;

use serde::Deserialize;

use crate::supervisor::protocol::Stream;
use crate::supervisor::time::Time;

/// One record: a line of output, or a part of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The text, with its newline unless it is a part.
    pub log: String,
    /// Where it was written.
    pub stream: Stream,
    /// When it was read.
    pub time: Time,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    stream: Stream,
    time: Time,
}

impl Entry {
    /// Reads a line of the log file; nothing when it is torn or not ours.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        Some(Self { log: line.log.into_owned(), stream: line.stream, time: line.time })
    }
}

/// Appends the record of `text` to `out`. Bytes that are not UTF-8 become U+FFFD, as Docker writes them.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8], stream: Stream, time: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    put_escaped(out, text);
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(if stream == Stream::Stdout { b"stdout" } else { b"stderr" });
    out.extend_from_slice(b"\",\"time\":\"");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn put_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for part in chunk.valid().split_inclusive(needs_escape) {
            let Some(last) = part.chars().next_back().filter(|c| needs_escape(*c)) else {
                out.extend_from_slice(part.as_bytes());
                continue;
            };
            out.extend_from_slice(&part.as_bytes()[..part.len() - last.len_utf8()]);
            put_escape(out, last);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\\ufffd".as_bytes());
        }
    }
}

/// What Go's encoder escapes: control characters, quotes, and what is special in HTML or JavaScript.
fn needs_escape(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn put_escape(out: &mut Vec<u8>, c: char) {
    let short: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        _ => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            return;
        }
    };
    out.extend_from_slice(short);
}
