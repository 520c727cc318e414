//! Builds the stub with the compiler that builds the library, for the same target, always optimised.
//!
//! No linker script, no other tool: a `no_std` binary without start files is all that is needed.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const SOURCES: [&str; 8] = ["stub.rs", "op.rs", "wire.rs", "run.rs", "mounts.rs", "identity.rs", "sys.rs", "abi.rs"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(stub)");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=src/{source}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("stub");
    let system = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if system != "linux" {
        // Elsewhere the crates compile and every launch answers `Unsupported`.
        std::fs::write(&out, []).expect("OUT_DIR is writable");
        return;
    }
    assert!(
        matches!(machine.as_str(), "x86_64" | "aarch64"),
        "container-child knows the system calls of x86_64 and aarch64 Linux only, not of {machine}"
    );
    build(&out);
}

fn build(out: &PathBuf) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let mut command = Command::new(rustc);
    command
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=container_stub", "--cfg=stub", "src/stub.rs"])
        .args(["-Copt-level=s", "-Cpanic=abort", "-Crelocation-model=static", "-Ctarget-feature=+crt-static"])
        .args(["-Cstrip=symbols", "-Ccodegen-units=1", "-Clto=fat", "-Coverflow-checks=off", "-Cdebug-assertions=off"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-Wl,--build-id=none", "-Clink-arg=-Wl,-z,norelro", "-Clink-arg=-Wl,-z,noexecstack"])
        .arg("--target")
        .arg(env::var_os("TARGET").expect("cargo sets TARGET"))
        .arg("-o")
        .arg(out);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg(format!("-Clinker={}", linker.to_string_lossy()));
    }
    let status = command.status().expect("the compiler named by RUSTC starts");
    assert!(status.success(), "the stub did not build: {command:?}");
}
