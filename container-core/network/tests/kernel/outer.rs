//! The outer namespace: shared by its members, found again after the broker's death, freed with the last member; ports
//! bound outside by the broker. Members are processes of their own: this test program, run again.

use crate::world::{PATIENCE, Result, ask_here, isolated, same};
use container_network::outer::{OuterNamespace, helper_main};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;
use test_lane::{Need, case};

/// An ordinary user's life, which only a process outside of any user namespace of ours can try: for such a user before
/// the cases begin (`tried`), for root as somebody else.
pub(crate) fn cases(tried: Option<Result<()>>) -> Vec<Trial> {
    let as_user = match tried {
        Some(result) => case("outer_as_an_ordinary_user", &[Need::UserNamespaces], || result),
        None => case("outer_as_an_ordinary_user", &[Need::Root, Need::UserNamespaces], || {
            isolated(|| whole_life(Some(65534), true))
        }),
    };
    vec![
        as_user,
        case("outer_as_root", &[Need::Root], || isolated(|| whole_life(None, false))),
        case("outer_refused_kernel_says_so", &[Need::Root, Need::Path("/proc/sys/user/max_user_namespaces")], || {
            isolated(threads_are_refused)
        }),
    ]
}

/// Where the program runs itself again: `None` when it is to run the cases.
pub(crate) fn roles(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments.get(1)?.to_str()? {
        "outer-helper" => Some(helper_main(&arguments[2..])),
        "outer-member" => Some(member(Path::new(arguments.get(2)?))),
        _ => None,
    }
}

/// Enters, says where it is, and then does what it is told line by line.
fn member(directory: &Path) -> ExitCode {
    let helper = || {
        let mut command = Command::new("/proc/self/exe");
        command.arg("outer-helper");
        command
    };
    let outer = match OuterNamespace::enter(directory, helper) {
        Ok(outer) => outer,
        Err(error) => {
            println!("error {error}");
            return ExitCode::FAILURE;
        }
    };
    let net = std::fs::metadata("/proc/self/ns/net").map(|found| found.ino()).unwrap_or_default();
    println!("net {net} uid {} ids {}", nix::unistd::geteuid(), outer.ids());
    let mut listeners = Vec::new();
    for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
        match line.split_once(' ') {
            Some(("bind", address)) => match outer.broker().listen(address.parse().expect("an address")) {
                Ok(listener) => {
                    println!("bound {}", listener.local_addr().expect("it is bound"));
                    listeners.push(listener);
                }
                Err(error) => println!("{error}"),
            },
            _ => {
                let (mut stream, _) = listeners[0].accept().expect("somebody connects");
                stream.write_all(b"inside").expect("it waits");
                println!("answered");
            }
        }
    }
    ExitCode::SUCCESS
}

struct Member {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    hello: String,
}

impl Member {
    fn start(program: &Path, directory: &Path, user: Option<u32>) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("outer-member").arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.ok_or("no output")?);
        let mut member = Self { child, input, output, hello: String::new() };
        member.hello = member.line()?;
        Ok(member)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.input.as_mut().ok_or("it has ended")?, "{line}")?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A state directory and a copy of this program that the user can reach.
fn stage(user: Option<u32>) -> Result<(tempfile::TempDir, PathBuf, PathBuf)> {
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    let (program, state) = (dir.path().join("program"), dir.path().join("state"));
    std::fs::copy("/proc/self/exe", &program)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    std::fs::create_dir(&state)?;
    chown(&state, user, user)?;
    Ok((dir, program, state))
}

/// Tries an ordinary user's life as the user that the tests run as.
pub(crate) fn try_as_ordinary_user() -> Option<Result<()>> {
    (!nix::unistd::geteuid().is_root()).then(|| whole_life(None, true))
}

fn whole_life(user: Option<u32>, ordinary: bool) -> Result<()> {
    let (_dir, program, state) = stage(user)?;
    let mut first = Member::start(&program, &state, user)?;
    let second = Member::start(&program, &state, user)?;
    same(&second.hello, &first.hello, "two members")?;
    same(first.hello.contains(" uid 0 "), true, "root inside")?;
    let own = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
    same(first.hello.contains(&format!("net {own} ")), false, "still in the test's namespace")?;

    first.tell("bind 127.0.0.1:0")?;
    let bound = first.line()?;
    let address: SocketAddr = bound.strip_prefix("bound ").ok_or(bound.clone())?.parse()?;
    first.tell("answer")?;
    same(ask_here(address)?, "inside".to_owned(), "a connection from outside")?;
    same(first.line()?, "answered".to_owned(), "the member's word")?;
    first.tell(&format!("bind {address}"))?;
    same(first.line()?, format!("bind for {address} failed: port is already allocated"), "the same port again")?;
    if ordinary {
        first.tell("bind 127.0.0.1:81")?;
        let low = first.line()?;
        same(low.starts_with("bind for 127.0.0.1:81 failed: ports below"), true, &low)?;
    }

    if let Some(user) = user {
        let stranger = Member::start(&program, &state, Some(user - 1))?;
        same(stranger.hello.starts_with("error cannot open"), true, &stranger.hello)?;
    }

    drop(first);
    let third = Member::start(&program, &state, user)?;
    same(&third.hello, &second.hello, "a member that came after one had gone")?;
    kill_broker(&state)?;
    let fourth = Member::start(&program, &state, user)?;
    same(&fourth.hello, &second.hello, "a member that came after the broker was killed")?;
    drop((second, third, fourth));
    let deadline = Instant::now() + PATIENCE;
    while state.join("outer.sock").exists() {
        if Instant::now() > deadline {
            return Err("the broker outlives its last member".into());
        }
        std::thread::yield_now();
    }
    let fifth = Member::start(&program, &state, user)?;
    same(fifth.hello.starts_with("net "), true, "a new life")
}

fn kill_broker(state: &Path) -> Result<()> {
    let stream = UnixStream::connect(state.join("outer.sock"))?;
    let broker = getsockopt(&stream, sockopt::PeerCredentials)?.pid();
    kill(Pid::from_raw(broker), Signal::SIGKILL)?;
    Ok(())
}

/// This program has threads while it runs its cases: entering is refused with the reason, and nothing stays.
fn threads_are_refused() -> Result<()> {
    let (_dir, program, state) = stage(None)?;
    let helper = || {
        let mut command = Command::new(&program);
        command.arg("outer-helper");
        command
    };
    let text = OuterNamespace::enter(&state, helper).map(|_| ()).map_err(|error| error.to_string());
    let text = text.err().unwrap_or_default();
    same(text.contains("threads already; enter first thing in main"), true, &text)
}
