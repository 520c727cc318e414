//! The house's invariants as tests: dependency edges, forbidden dependencies, budgets of files, where unsafe may live.
//!
//! Each is an absence that the architecture promises, so each check names what it found and where. Absent: function
//! lengths and lint rules, which clippy judges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_MAX: usize = 600;
const FILE_MEDIAN: usize = 200;

/// Everything `orchestrate-core` may name: no clock, no randomness, no I/O, no async.
const PURE_DEPENDENCIES: &[&str] = &["libm", "petgraph", "serde", "serde_json", "thiserror"];

/// The only source files with `unsafe`, each small and named in the README.
const UNSAFE_FILES: &[&str] = &[
    "benches/src/floor/sys.rs",
    "container-core/child/src/stub.rs",
    "container-core/child/src/sys.rs",
    "container-core/src/launch/clone.rs",
    "container-core/tests/noalloc.rs",
];

/// Crates that must not be in the graph at all: other TLS stacks and whatever needs a foreign build tool.
const FORBIDDEN_EVERYWHERE: &[&str] = &["aws-lc-sys", "aws-lc-rs", "openssl-sys", "cmake", "libseccomp-sys", "protoc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("benches lies in the workspace").to_owned()
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// The normal and build dependencies (not the dev ones) that each workspace member names itself.
fn named_dependencies(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().expect("members").iter().filter_map(|id| id.as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    packages
        .iter()
        .filter(|package| members.contains(package["id"].as_str().unwrap_or_default()))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let named = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
            (text(&package["name"]), named.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

fn layer(name: &str) -> Option<&'static str> {
    match name {
        "container-core" | "container-child" | "container-network" => Some("container-core"),
        "image-store" => Some("image-store"),
        "orchestrate-core" | "apiserver" | "compose" => Some("orchestrate-core"),
        _ => None,
    }
}

#[test]
fn no_library_names_another_of_the_three() {
    for (name, dependencies) in named_dependencies(&metadata()) {
        let Some(own) = layer(&name) else { continue };
        for dependency in dependencies {
            let foreign = layer(&dependency).is_some_and(|other| other != own);
            assert!(!foreign, "{name} names {dependency}: what a layer needs of another comes through a trait");
        }
    }
}

#[test]
fn orchestrate_core_names_only_pure_crates() {
    let all = named_dependencies(&metadata());
    let allowed: BTreeSet<String> = PURE_DEPENDENCIES.iter().map(|&name| name.to_owned()).collect();
    let extra: Vec<_> = all["orchestrate-core"].difference(&allowed).collect();
    assert!(extra.is_empty(), "orchestrate-core names {extra:?}; the reviewed list is {PURE_DEPENDENCIES:?}");
    assert!(all["container-child"].is_empty(), "container-child names {:?}", all["container-child"]);
    assert!(!all["container-core"].contains("tokio"), "container-core is blocking");
}

#[test]
fn forbidden_crates_are_in_no_graph() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    for name in FORBIDDEN_EVERYWHERE {
        // The lock file also lists optional edges nobody turned on, so ask the resolved graph.
        if !lock.contains(&format!("name = \"{name}\"")) {
            continue;
        }
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--workspace", "--all-features", "--offline", "--locked", "-i", name])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let tree = String::from_utf8_lossy(&output.stdout);
        assert!(tree.trim().is_empty(), "{name} is in the graph:\n{tree}");
    }
}

/// Every Rust source file that git would commit, by path from the top.
fn sources() -> Vec<(String, String)> {
    fn walk(top: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).expect("readable folder") {
            let path = entry.expect("readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(top, &path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(top).expect("below the top").to_string_lossy().into_owned();
                found.push((relative, std::fs::read_to_string(&path).expect("UTF-8 source")));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found
}

#[test]
fn files_fit_in_the_head() {
    let mut lengths: Vec<usize> = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= FILE_MAX, "{path} has {lines} lines; the budget is {FILE_MAX}");
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < FILE_MEDIAN, "the median file has {median} lines; the budget is {FILE_MEDIAN}");
}

#[test]
fn unsafe_lives_in_the_named_files() {
    for (path, text) in sources() {
        let unsafe_code = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            let lints = code.contains("unsafe_code") || code.contains("unsafe_op_in");
            !lints
                && !code.contains('"')
                && code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe")
        });
        assert!(
            !unsafe_code || UNSAFE_FILES.contains(&path.as_str()),
            "{path} has unsafe code and is not a named file"
        );
    }
}

#[test]
fn every_module_says_its_job() {
    for (path, text) in sources() {
        if text.contains("#![doc = include_str!") {
            continue; // The crate's front page is its README.
        }
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#![")).unwrap_or_default();
        assert!(first.starts_with("//!"), "{path} does not open with its one job (//! …)");
    }
}

#[test]
fn the_top_level_holds_the_fixed_names() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "container-core",
        "examples",
        "image-store",
        "orchestrate-core",
        "target",
    ];
    for entry in std::fs::read_dir(root()).expect("readable top") {
        let name = entry.expect("readable entry").file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || allowed.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}
