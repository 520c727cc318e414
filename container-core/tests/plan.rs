//! Golden plans: what a specification on a machine compiles to, as text. No privilege, no kernel.
//!
//! `UPDATE_GOLDEN=1 cargo test --test plan` writes what was found; the difference is for the reviewer.

use std::path::{Path, PathBuf};

use container_core::{Host, Launch, Rootfs, Runtime, Spec};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("tests/plan").filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}

fn plan(case: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(case.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (spec, unknown) = Spec::from_json(&read("config.json")).expect("a specification");
    assert_eq!(unknown, Vec::<String>::new(), "{}", case.display());
    let host: Host = serde_json::from_str(&read("host.json")).expect("a host");
    let rootfs = match spec.root.path.as_str() {
        "overlay" => Rootfs::Overlay {
            lower: vec!["/layers/b:2".into(), "/layers/a".into()],
            upper: "/state/upper".into(),
            work: "/state/work".into(),
        },
        path => Rootfs::Path(path.into()),
    };
    match Runtime::with_host(host).plan(&Launch::new(spec, rootfs)) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn plans_are_as_reviewed() {
    let mut different = Vec::new();
    for case in cases() {
        let (found, golden) = (plan(&case), case.join("plan.txt"));
        // The size of the filter depends on the machine that this was built for.
        let found: String = found.lines().map(|line| neutral(line) + "\n").collect();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).expect("a writable golden file");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            different.push(format!("{}:\n{found}", golden.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn neutral(line: &str) -> String {
    if !line.contains(" seccomp ") {
        return line.trim_end().to_owned();
    }
    let words: Vec<&str> = line.split_whitespace().filter(|word| word.parse::<u32>().is_err()).collect();
    format!("    {}", words.join(" "))
}

#[test]
fn the_same_input_gives_the_same_plan() {
    for case in cases() {
        assert_eq!(plan(&case), plan(&case));
    }
}
