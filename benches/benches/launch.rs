//! Launches in process, run to exit of `true`: ours against hand-written system calls and against libcontainer, from
//! an empty host and from one with gigabytes resident.
//!
//! `cargo bench -p benches --bench launch [-- --check] [-- --rounds N]`. The peer libcontainer is found through
//! `PEER_LIBCONTAINER`, built once with `cargo build --release` in `benches/peers/libcontainer`.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use benches::bundle::{self, Bundle};
use benches::report::{Bar, Compared, Target, conclude};
use benches::rounds::{self, Samples};
use benches::worker::{Worker, serve};
use container_core::{ContainerId, Launch, Rootfs, Runtime};

const RESIDENT_MIB: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["worker", kind, bundle, resident] => {
            work(kind, Path::new(bundle), resident.parse().unwrap_or(0)).map(|()| ExitCode::SUCCESS)
        }
        options => drive(options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("launch: {error}");
        ExitCode::FAILURE
    })
}

/// One contender, as a process of its own.
fn work(kind: &str, bundle: &Path, resident_mib: usize) -> Result<(), String> {
    let ballast = vec![1_u8; resident_mib << 20];
    let own = std::process::id();
    let outcome = match kind {
        "ours" => {
            let runtime = Runtime::new().map_err(|error| error.to_string())?;
            let rootfs = Rootfs::Path(bundle.join("rootfs"));
            serve(|number| ours(&runtime, &rootfs, &format!("ours-{own}-{number}")))
        }
        "floor" => {
            let config = bundle::floor(bundle).map_err(|error| format!("prepare the floor: {error}"))?;
            serve(|number| {
                let begin = Instant::now();
                config.launch(&format!("floor-{own}-{number}")).map_err(|error| error.to_string())?;
                Ok(nanos(begin))
            })
        }
        "plan" => {
            let runtime = Runtime::new().map_err(|error| error.to_string())?;
            let launch = Launch::new(bundle::spec(), Rootfs::Path(bundle.join("rootfs"))).cgroup_parent("/bench");
            print!("{}", runtime.plan(&launch).map_err(|error| error.to_string())?);
            Ok(())
        }
        other => Err(format!("no contender {other:?}")),
    };
    drop(ballast);
    outcome
}

fn nanos(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn ours(runtime: &Runtime, rootfs: &Rootfs, id: &str) -> Result<u64, String> {
    let begin = Instant::now();
    let launch = Launch::new(bundle::spec(), rootfs.clone()).cgroup_parent("/launch-bench");
    let run = || {
        let id = ContainerId::new(id)?;
        let container = runtime.run(&id, launch)?;
        let status = container.wait()?;
        container.delete()?;
        Ok(status.code())
    };
    match run().map_err(|error: container_core::Error| error.to_string())? {
        0 => Ok(nanos(begin)),
        code => Err(format!("true ended with {code}")),
    }
}

fn contenders(bundle: &Bundle) -> Result<Vec<Worker>, String> {
    let me = std::env::current_exe().map_err(|error| format!("find the bench's own program: {error}"))?;
    let own = |name: &str, kind: &str, resident: usize| {
        let mut command = Command::new(&me);
        command.args(["worker", kind]).arg(bundle.path()).arg(resident.to_string());
        Worker::start(name, &mut command).map_err(|error| error.to_string())
    };
    let mut all = vec![own("ours", "ours", 0)?, own("floor", "floor", 0)?, own("ours, 4 GB", "ours", RESIDENT_MIB)?];
    if let Some(peer) = std::env::var_os("PEER_LIBCONTAINER") {
        let mut command = Command::new(peer);
        command.arg(bundle.path()).arg(bundle.path().join("peer-state"));
        all.push(Worker::start("libcontainer", &mut command).map_err(|error| error.to_string())?);
    }
    Ok(all)
}

fn bars(samples: &[Samples]) -> Vec<Bar> {
    let median = |number: usize| samples.get(number).and_then(Samples::median);
    let times = |ours, peer| Compared::Times { ours: median(ours), peer: median(peer) };
    vec![
        Bar {
            name: "launch, in process, run to exit",
            compared: times(0, 1),
            peer: "hand-written floor".to_owned(),
            target: Target::AtMost(1.6),
        },
        Bar {
            name: "launch, in process, full bundle",
            compared: times(0, 3),
            peer: "libcontainer 0.7.0".to_owned(),
            target: Target::TimesFaster(6.0),
        },
        Bar {
            name: "launch, host with 4 GB resident",
            compared: times(2, 0),
            peer: "ours, empty host".to_owned(),
            target: Target::AtMost(1.2),
        },
    ]
}

fn drive(options: &[&str]) -> Result<ExitCode, String> {
    let flag = |name: &str| options.contains(&name);
    let rounds = options.iter().position(|option| *option == "--rounds");
    let rounds = rounds.and_then(|at| options.get(at + 1)?.parse().ok());
    // `cargo bench` passes --bench; without it this is a test run that only shows that everything still works.
    let rounds = rounds.unwrap_or(if flag("--bench") { 200 } else { 2 });
    if !nix::unistd::geteuid().is_root() {
        println!("launch: skipped, needs root for cgroups and full bundles");
        return Ok(ExitCode::SUCCESS);
    }
    let bundle = Bundle::make().map_err(|error| format!("make the bundle: {error}"))?;
    std::fs::create_dir_all(bundle.path().join("peer-state")).map_err(|error| format!("make a folder: {error}"))?;
    let mut contenders = contenders(&bundle)?;
    let seed = u64::from(std::process::id());
    println!("{rounds} rounds in random order, seed {seed}; medians");
    let samples = rounds::run(&mut contenders, rounds, 3, seed);
    for (contender, samples) in contenders.iter().zip(&samples) {
        let at = |percent| samples.percentile(percent).map_or(0.0, |nanos| nanos as f64 / 1e6);
        println!("{:<14} min {:.3} p25 {:.3} p50 {:.3} p95 {:.3} ms", contender.name(), at(0), at(25), at(50), at(95));
    }
    Ok(conclude(&bars(&samples), flag("--check")))
}
