//! `-e NAME=value`, `-e NAME` (taken from here), `--env-file`, and how they overlay the image's list.

/// Resolves `-e` values; a bare name takes its value from `lookup`, and vanishes without one.
#[must_use]
pub fn resolve(flags: &[String], lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
    flags
        .iter()
        .filter_map(
            |flag| if flag.contains('=') { Some(flag.clone()) } else { lookup(flag).map(|v| format!("{flag}={v}")) },
        )
        .collect()
}

/// Reads an `--env-file`: one assignment per line, `#` begins a comment line.
///
/// # Errors
/// One clause that names the line.
pub fn parse_file(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        if name.contains(char::is_whitespace) {
            return Err(format!("variable '{name}' contains whitespaces"));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// Puts `over` on top of `base`: a name that is there already is replaced in its place.
#[must_use]
pub fn overlay(base: &[String], over: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut merged = base.to_vec();
    for entry in over {
        match merged.iter_mut().find(|known| name(known) == name(entry)) {
            Some(known) => known.clone_from(entry),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|&entry| entry.to_owned()).collect()
    }

    #[test]
    fn names_values_and_overlays() {
        let lookup = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        assert_eq!(resolve(&list(&["A=1", "HOME", "NONE"]), lookup), ["A=1", "HOME=/root"]);
        assert_eq!(overlay(&list(&["A=1", "B=2"]), &list(&["A=3", "C=4"])), ["A=3", "B=2", "C=4"]);
        assert_eq!(parse_file("# no\n\nA=1 2\n B\n").unwrap(), ["A=1 2", "B"]);
        assert!(parse_file("=x").is_err() && parse_file("a b=c").is_err());
    }
}
