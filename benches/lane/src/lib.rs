//! Kernel tests with three honest outcomes: ran, skipped with a reason, not applicable.
//!
//! A test target with `harness = false` builds its cases with [`case`] and hands them to [`main`].
//! A case says what it needs; a need that this machine cannot meet makes the case `ignored` with
//! the reason printed. `TESTS_REQUIRE=all` turns every such skip into a failure, so that a skip
//! cannot rot on a machine that could have run it. [`Need::Elsewhere`] and [`Need::Lane`] are the third
//! outcome: the case needs other hardware or a named lane, is printed as `not applicable` and never fails.
//!
//! Absent on purpose: any knowledge of containers, images or clusters.

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion};
pub use libtest_mimic::{Failed, Trial};

/// What a case cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Effective uid 0.
    Root,
    /// An effective uid other than 0.
    OrdinaryUser,
    /// New user namespaces, by making one.
    UserNamespaces,
    /// A program on `PATH` (a real peer or client).
    Program(&'static str),
    /// A file or folder that must exist.
    Path(&'static str),
    /// A lane of its own, entered by `TESTS_LANE=NAME` (`v2`: a booted kernel with nothing but cgroup v2).
    Lane(&'static str),
    /// Other hardware or another kernel.
    Elsewhere(&'static str),
}

impl Need {
    /// Probes the need by doing, and says what is missing.
    fn missing(self) -> Option<String> {
        let root = nix::unistd::geteuid().is_root();
        match self {
            Self::Root => (!root).then(|| "needs root".to_owned()),
            Self::OrdinaryUser => root.then(|| "needs an ordinary user".to_owned()),
            Self::UserNamespaces => {
                (!user_namespaces()).then(|| "needs user namespaces (unshare -U failed)".to_owned())
            }
            Self::Program(name) => (!on_path(name)).then(|| format!("needs the program {name} on PATH")),
            Self::Path(path) => (!std::path::Path::new(path).exists()).then(|| format!("needs {path}")),
            Self::Lane(_) | Self::Elsewhere(_) => None,
        }
    }

    /// Says why the need belongs to another machine or lane, if it does.
    fn not_applicable(self) -> Option<String> {
        match self {
            Self::Lane(name) if std::env::var("TESTS_LANE").is_ok_and(|lane| lane == name) => None,
            Self::Lane(name) => Some(format!("runs in the lane {name}")),
            Self::Elsewhere(why) => Some(why.to_owned()),
            _ => None,
        }
    }
}

fn user_namespaces() -> bool {
    Command::new("unshare")
        .args(["-U", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Tells whether `name` is an executable file in a folder of `PATH`.
#[must_use]
pub fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| {
        nix::unistd::access(&dir.join(name), nix::unistd::AccessFlags::X_OK).is_ok() && dir.join(name).is_file()
    })
}

/// What a case returns: `Ok`, or why it failed.
pub type Outcome = Result<(), Failed>;

/// Makes one case. It runs when every one of `needs` is met.
pub fn case(name: &str, needs: &'static [Need], run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Some(why) = needs.iter().find_map(|need| need.not_applicable()) {
            return Ok(Completion::ignored_with(format!("not applicable: {why}")));
        }
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            return run().map(|()| Completion::Completed);
        }
        let reason = missing.join(", ");
        // As an ordinary user the root cases cannot run, and as root the ordinary user's cannot: the lanes complete
        // each other, so the opposite identity is never required.
        let other_lane = needs.iter().any(|need| *need == Need::OrdinaryUser && need.missing().is_some());
        if std::env::var("TESTS_REQUIRE").is_ok_and(|value| value == "all") && !other_lane {
            return Err(Failed::from(format!("skipped although TESTS_REQUIRE=all: {reason}")));
        }
        Ok(Completion::ignored_with(reason))
    })
}

/// Runs the cases as libtest would, with its arguments. One thread, unless `--test-threads` says otherwise:
/// kernel tests share one kernel.
#[must_use]
pub fn main(cases: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));
    libtest_mimic::run(&arguments, cases).exit_code()
}
