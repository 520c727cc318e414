//! What the demo application answers: pure of sockets, except where it relays a neighbour.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::{SocketAddr, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::http1::{self, Request};

/// Who answers.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) pod: String,
    pub(super) version: String,
    environment: BTreeMap<String, String>,
}

impl Identity {
    /// Reads it from the environment that the image and the pod's manifest gave.
    pub(super) fn from_environment() -> Self {
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let pod = environment.get("POD_NAME").or_else(|| environment.get("HOSTNAME")).cloned().unwrap_or(host);
        let version = environment.get("APP_VERSION").cloned().unwrap_or_else(|| "unknown".to_owned());
        Self { pod, version, environment }
    }
}

/// One answer, ready to be written.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    pub(super) body: Vec<u8>,
    /// Ends the process with this code once the answer is out.
    pub(super) exit: Option<i32>,
}

/// The application's state.
#[derive(Debug)]
pub(super) struct App {
    identity: Identity,
    data: PathBuf,
    peer: Option<SocketAddr>,
    failing: AtomicBool,
}

impl App {
    pub(super) fn new(identity: Identity, data: PathBuf, peer: Option<SocketAddr>, failing: bool) -> Self {
        Self { identity, data, peer, failing: AtomicBool::new(failing) }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request) -> Answer {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => self.who(),
            ("GET", "/env") => json_answer(&json!(self.identity.environment)),
            ("GET", "/healthz") => self.health(),
            ("POST", "/fail") => self.set_failing(true),
            ("POST", "/recover") => self.set_failing(false),
            ("POST", "/exit") => {
                let code = request.parameter("code").and_then(|code| code.parse().ok()).unwrap_or(0);
                Answer { exit: Some(code), ..text(200, "exiting\n") }
            }
            ("GET", "/slow") => {
                let ms = request.parameter("ms").and_then(|ms| ms.parse().ok()).unwrap_or(100_u64);
                std::thread::sleep(Duration::from_millis(ms.min(10_000)));
                self.who()
            }
            ("GET", "/peer") => self.relay(),
            ("GET", path) if path.starts_with("/files/") => self.file(Path::new(&path["/files/".len()..])),
            ("GET", _) => text(404, "no such page\n"),
            _ => text(405, "no such method here\n"),
        }
    }

    fn who(&self) -> Answer {
        let greeting = self.identity.environment.get("GREETING");
        json_answer(&json!({"pod": self.identity.pod, "version": self.identity.version, "greeting": greeting}))
    }

    fn health(&self) -> Answer {
        if self.failing.load(Ordering::Relaxed) { text(503, "failing\n") } else { text(200, "ok\n") }
    }

    fn set_failing(&self, failing: bool) -> Answer {
        self.failing.store(failing, Ordering::Relaxed);
        self.health_told(failing)
    }

    fn health_told(&self, failing: bool) -> Answer {
        text(200, &format!("{} now {}\n", self.identity.pod, if failing { "fails" } else { "is well" }))
    }

    fn file(&self, name: &Path) -> Answer {
        let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
        match plain.then(|| std::fs::read(self.data.join(name))) {
            Some(Ok(body)) => Answer { status: 200, media_type: "text/plain", body, exit: None },
            _ => text(404, "no such file\n"),
        }
    }

    fn relay(&self) -> Answer {
        let Some(peer) = self.peer else { return text(404, "no peer\n") };
        let asked = TcpStream::connect_timeout(&peer, Duration::from_secs(2)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            http1::write_request(&mut stream, "GET", "peer", "/", &[], false)?;
            http1::read_response(&mut BufReader::new(stream))
        });
        match asked {
            Ok(answer) => Answer { status: 200, media_type: "application/json", body: answer.body, exit: None },
            Err(error) => text(503, &format!("peer {peer}: {error}\n")),
        }
    }
}

fn text(status: u16, body: &str) -> Answer {
    Answer { status, media_type: "text/plain", body: body.as_bytes().to_vec(), exit: None }
}

fn json_answer(value: &serde_json::Value) -> Answer {
    Answer { status: 200, media_type: "application/json", body: format!("{value}\n").into_bytes(), exit: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        let environment = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
        let identity = Identity { pod: "web-1".to_owned(), version: "1.0.0".to_owned(), environment };
        App::new(identity, PathBuf::from("/data"), None, false)
    }

    fn ask(app: &App, method: &str, target: &str) -> (u16, String) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method: method.into(), path: path.into(), query: query.into(), keep_alive: true };
        let answer = app.answer(&request);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn says_who_answers() {
        let (status, body) = ask(&app(), "GET", "/");
        assert_eq!(
            (status, body.as_str()),
            (200, "{\"pod\":\"web-1\",\"version\":\"1.0.0\",\"greeting\":\"hello\"}\n")
        );
    }

    #[test]
    fn can_be_told_to_fail_and_to_recover() {
        let app = app();
        assert_eq!(ask(&app, "GET", "/healthz").0, 200);
        ask(&app, "POST", "/fail");
        assert_eq!(ask(&app, "GET", "/healthz").0, 503);
        ask(&app, "POST", "/recover");
        assert_eq!(ask(&app, "GET", "/healthz").0, 200);
    }

    #[test]
    fn files_outside_the_data_folder_do_not_exist() {
        for target in ["/files/../etc/passwd", "/files//etc/passwd", "/files/a/../../etc/passwd"] {
            assert_eq!(ask(&app(), "GET", target).0, 404, "{target}");
        }
    }
}
