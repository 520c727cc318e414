//! Requests and the whole replies to them, as files that people can read and review.
//!
//! A file holds steps: `> METHOD /path [accept: ...] [type: ...]`, a YAML body, then `< code` with
//! warnings and the reply. Replies are compared byte for byte; `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use apiserver::{ApiServer, Body, Config, PatchKind, Reply, Request};
use serde_json::Value;

const NOW: i64 = 1_700_000_000_000;

/// One step of a file: the lines that ask.
struct Step {
    ask: String,
    body: String,
}

fn steps(text: &str) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let mut asking = false;
    for line in text.lines() {
        if line.starts_with("> ") {
            out.push(Step { ask: line.to_owned(), body: String::new() });
            asking = true;
        } else if line.starts_with("< ") {
            asking = false;
        } else if let (true, Some(step)) = (asking, out.last_mut()) {
            step.body.push_str(line);
            step.body.push('\n');
        }
    }
    out
}

fn request(step: &Step) -> Request {
    let mut words = step.ask[2..].splitn(2, ' ');
    let (method, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, headers) = rest.split_once(" | ").unwrap_or((rest, ""));
    let body = apiserver::yaml::documents(&step.body).expect("a YAML body").pop().unwrap_or(Value::Null);
    let mut request = match method {
        "GET" => Request::get(path),
        "POST" => Request::post(path, body),
        "PUT" => Request::put(path, body),
        "JSON-PATCH" => Request::patch(path, PatchKind::Json, body),
        "MERGE" => Request::patch(path, PatchKind::Merge, body),
        "STRATEGIC" => Request::patch(path, PatchKind::Strategic, body),
        "APPLY" => Request::patch(path, PatchKind::Apply, body),
        "DELETE" => Request::delete(path).body(body),
        other => panic!("unknown method {other}"),
    };
    if let Some(accept) = headers.strip_prefix("accept: ") {
        request = request.accept(accept);
    }
    request
}

fn replay(text: &str) -> String {
    let mut api = ApiServer::new(Config { seed: 42, start: NOW - 3_600_000, ..Config::default() });
    let mut out = String::new();
    for step in steps(text) {
        out.push_str(&format!("{}\n{}", step.ask, step.body));
        match api.handle(NOW, &request(&step)) {
            Reply::Response(response) => {
                out.push_str(&format!("< {}\n", response.code));
                for warning in &response.warnings {
                    out.push_str(&format!("Warning: {warning}\n"));
                }
                match response.body {
                    Body::Json(value) => out.push_str(&serde_json::to_string_pretty(&value).unwrap_or_default()),
                    Body::Bytes(bytes) => out.push_str(&String::from_utf8_lossy(&bytes)),
                }
            }
            Reply::Watch(mut watch) => {
                out.push_str("< watch\n");
                for event in api.poll(NOW, &mut watch).events {
                    out.push_str(&String::from_utf8_lossy(&event.line()));
                }
            }
            Reply::Pod(call) => out.push_str(&format!("< delegated\n{call:#?}")),
        }
        out.push_str("\n\n");
    }
    out
}

#[test]
fn replies_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() >= 6, "golden files are missing");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text file");
        let now = replay(&text);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, now).expect("written");
        } else {
            assert_eq!(now, text, "{} differs", file.display());
        }
    }
}
