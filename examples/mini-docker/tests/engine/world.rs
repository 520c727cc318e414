//! A state root of its own for each case, the real binary, and a look at what it leaves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use test_lane::Failed;

/// Nothing that these tests wait for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A case's own engine. Dropping it removes its containers.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// Whose containers these are, when not this process's user's.
    user: Option<u32>,
    binary: PathBuf,
}

/// The user that nobody is.
const NOBODY: u32 = 65534;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Did {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Result<Self, Failed> {
        Ok(Self::at(tempfile::Builder::new().prefix("mini-docker-test").tempdir()?))
    }

    pub(crate) fn at(folder: tempfile::TempDir) -> Self {
        Self { folder, user: None, binary: PathBuf::from(env!("CARGO_BIN_EXE_mini-docker")) }
    }

    /// An ordinary user's: as root, the user `nobody`'s, with a copy of the binary that this one may run.
    pub(crate) fn rootless() -> Result<Self, Failed> {
        let mut world = Self::new()?;
        if nix::unistd::geteuid().is_root() {
            let binary = world.path("mini-docker");
            std::fs::copy(&world.binary, &binary)?;
            std::os::unix::fs::chown(world.folder.path(), Some(NOBODY), Some(NOBODY))?;
            world.user = Some(NOBODY);
            world.binary = binary;
        }
        Ok(world)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A folder for the case's own files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command `mini-docker ARGS`, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--root").arg(self.root()).args(args).env("DOCKER_CONFIG", self.path("config"));
        if let Some(user) = self.user {
            command.uid(user).gid(user).env("HOME", self.folder.path());
        }
        command
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Result<Child, Failed> {
        let mut command = self.command(args);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Did, Failed> {
        finish(self.spawn(args)?)
    }

    /// Runs a command that has to succeed, and gives its output without the last newline.
    pub(crate) fn ok(&self, args: &[&str]) -> Result<String, Failed> {
        let did = self.run(args)?;
        if did.code != 0 {
            return Err(format!("{args:?} exited with {}: {}{}", did.code, did.out, did.err).into());
        }
        Ok(did.out.trim_end().to_owned())
    }

    /// Runs a command that has to fail with `code`, and gives its one line of error.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> Result<String, Failed> {
        let did = self.run(args)?;
        if did.code != code {
            return Err(format!("{args:?} exited with {} instead of {code}: {}{}", did.code, did.out, did.err).into());
        }
        let error = did.err.trim_end().to_owned();
        if error.lines().count() != 1 || !error.starts_with("mini-docker: ") {
            return Err(format!("{args:?} did not fail in one line: {error}").into());
        }
        Ok(error)
    }

    /// Runs a command with input.
    pub(crate) fn with_input(&self, args: &[&str], input: &[u8]) -> Result<Did, Failed> {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("no input")?;
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let did = finish(child)?;
        writer.join().map_err(|_| "the writer panicked")?;
        Ok(did)
    }

    /// One field of `inspect`.
    pub(crate) fn inspect(&self, name: &str, field: &str) -> Result<String, Failed> {
        self.ok(&["inspect", "-f", &format!("{{{{{field}}}}}"), name])
    }

    /// Waits until a field of `inspect` is as wanted.
    pub(crate) fn until(&self, name: &str, field: &str, wanted: &str) -> Result<(), Failed> {
        wait_for(&format!("{name}'s {field} to be {wanted}"), || Ok(self.inspect(name, field)? == wanted))
    }

    /// Waits until the log of a container holds a text.
    pub(crate) fn until_logged(&self, name: &str, text: &str) -> Result<(), Failed> {
        wait_for(&format!("{name} to log {text}"), || {
            let did = self.run(&["logs", name])?;
            Ok(did.out.contains(text) || did.err.contains(text))
        })
    }

    /// The processes that belong to this root: supervisors and commands.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let root = self.root();
        let root = root.to_string_lossy();
        let ours = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(root.as_ref()))
        };
        pids().into_iter().filter(ours).collect()
    }

    /// The supervisor of a container.
    pub(crate) fn supervisor(&self, id: &str) -> Result<i32, Failed> {
        let of = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                let line = String::from_utf8_lossy(&line).into_owned();
                line.contains("supervise") && line.contains(id)
            })
        };
        self.processes().into_iter().find(of).ok_or_else(|| format!("{id} has no supervisor").into())
    }

    /// Fails when anything of a container is left outside the state root, or when containers are left in it.
    pub(crate) fn nothing_is_left(&self, ids: &[&str]) -> Result<(), Failed> {
        wait_for("all processes to end", || Ok(self.processes().is_empty()))?;
        let listed = self.ok(&["ps", "-aq"])?;
        if !listed.is_empty() {
            return Err(format!("containers are left: {listed}").into());
        }
        for folder in ["containers", "names", "trash", "images/holds"] {
            let left = std::fs::read_dir(self.root().join(folder)).map_or(0, Iterator::count);
            if left > 0 {
                return Err(format!("{left} left in {folder}").into());
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        for id in ids {
            if mounts.contains(id) {
                return Err(format!("a mount of {id} is left").into());
            }
            if let Some(path) = cgroups_named(id).first() {
                return Err(format!("the cgroup {} is left", path.display()).into());
            }
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Ok(ids) = self.ok(&["ps", "-aq"]) {
            for id in ids.split_whitespace() {
                let _ = self.run(&["rm", "-f", id]);
            }
        }
    }
}

fn finish(child: Child) -> Result<Did, Failed> {
    let Output { status, stdout, stderr } = wait_with_deadline(child)?;
    let code = status.code().unwrap_or(-1);
    Ok(Did {
        code,
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

/// Waits for a child's end and output; kills it when it takes too long.
pub(crate) fn wait_with_deadline(mut child: Child) -> Result<Output, Failed> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let collect = |from: Option<&mut dyn Read>| {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        bytes
    };
    std::thread::scope(|scope| {
        let out = scope.spawn(|| collect(stdout.as_mut().map(|from| from as &mut dyn Read)));
        let err = scope.spawn(|| collect(stderr.as_mut().map(|from| from as &mut dyn Read)));
        let deadline = Instant::now() + PATIENCE * 2;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err("a command did not end".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let joined =
            |handle: std::thread::ScopedJoinHandle<'_, Vec<u8>>| handle.join().map_err(|_| "a reader panicked");
        Ok(Output { status, stdout: joined(out)?, stderr: joined(err)? })
    })
}

/// Polls until `is` says so.
pub(crate) fn wait_for(what: &str, mut is: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if is()? {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("waited in vain for {what}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All process ids.
pub(crate) fn pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Cgroups of any hierarchy that carry this id.
pub(crate) fn cgroups_named(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
        let path = hierarchy.join("mini-docker").join(id);
        if path.exists() {
            found.push(path);
        }
    }
    found
}

/// The body of `GET /` over plain HTTP.
pub(crate) fn get(address: &str) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Fails unless `text` holds `part`.
pub(crate) fn has(text: &str, part: &str) -> Result<(), Failed> {
    if text.contains(part) { Ok(()) } else { Err(format!("no `{part}` in: {text}").into()) }
}

/// Fails unless both are equal.
#[expect(clippy::needless_pass_by_value, reason = "written in place by the cases")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), Failed> {
    if found == wanted { Ok(()) } else { Err(format!("found {found:?} instead of {wanted:?}").into()) }
}

/// Whether a process exists.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Whether a path is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
