//! `soak`: long counts with seeds. `cargo run --release -p benches --bin soak -- --seconds 600 --record`.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use benches::soak::PARTS;
use benches::soak::report::Report;

const HELP: &str = "\
Usage: soak [--seconds N] [--part NAME] [--seed N] [--record]

Works through its parts, N seconds in all, and fails when one of them found something.
  --seconds N   how long (default 60)
  --part NAME   only this part: launches, fuzz, kills
  --seed N      repeat a run; otherwise drawn from the clock and printed
  --record      add the counts to benches/soak.json

Examples:
  soak --seconds 600 --record
  soak --part fuzz --seed 17";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match soak(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn value<'a>(arguments: &'a [String], name: &str) -> Result<Option<&'a str>, String> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    arguments.get(at + 1).map(|text| Some(text.as_str())).ok_or_else(|| format!("{name} needs a value; see --help"))
}

fn number(arguments: &[String], name: &str) -> Result<Option<u64>, String> {
    let parse = |text: &str| text.parse().map_err(|_| format!("{name} {text}: not a number"));
    value(arguments, name)?.map(parse).transpose()
}

fn soak(arguments: &[String]) -> Result<bool, String> {
    let seconds = number(arguments, "--seconds")?.unwrap_or(60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = number(arguments, "--seed")?.unwrap_or(now);
    let only = value(arguments, "--part")?;
    let parts: Vec<_> = PARTS.iter().filter(|part| only.is_none_or(|name| name == part.name)).collect();
    if parts.is_empty() {
        return Err(format!("no part {}; see --help", only.unwrap_or_default()));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("soak.json");
    let mut report = Report::read(&file).map_err(|error| format!("read {}: {error}", file.display()))?;
    let share = seconds / parts.len() as u64;
    let mut clean = true;
    println!("soak: {} s for each of {} parts, seed {seed}", share, parts.len());
    for part in parts {
        let outcome = part.run(seed, Duration::from_secs(share));
        if let Some(why) = &outcome.skipped {
            println!("{:<9} skipped: {why}", part.name);
            continue;
        }
        println!("{:<9} {} {}, {} failures", part.name, outcome.count, part.unit, outcome.failures.len());
        outcome.failures.iter().take(20).for_each(|failure| println!("          {failure}"));
        clean &= outcome.failures.is_empty();
        report.add(part.name, part.unit, seed, share, &outcome);
    }
    if arguments.iter().any(|argument| argument == "--record") {
        report.write(&file).map_err(|error| format!("write {}: {error}", file.display()))?;
    }
    Ok(clean)
}
