//! One launch of a bundle by the published crate libcontainer for every line on standard input; prints the
//! nanoseconds from "build" to "deleted" of each. A launch that hangs is the caller's to notice.
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::sys::wait::waitpid;

fn launch(bundle: &Path, root: &Path, id: String) -> Result<u128, Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let mut container = ContainerBuilder::new(id, SyscallType::default())
        .with_root_path(root)?
        .as_init(bundle)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    let pid = container.pid().ok_or("no pid")?;
    container.start()?;
    waitpid(pid, None)?;
    container.delete(true)?;
    Ok(begin.elapsed().as_nanos())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (bundle, root) = (arguments.next().ok_or("BUNDLE ROOT")?, arguments.next().ok_or("BUNDLE ROOT")?);
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        line?;
        let nanos = launch(Path::new(&bundle), Path::new(&root), format!("peer-{}-{number}", std::process::id()))?;
        println!("{nanos}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
