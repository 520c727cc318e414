//! The log as a whole: written, rotated, read back, followed.

use super::*;
use crate::supervisor::protocol::Stream;
use crate::supervisor::time::Time;

fn at(seconds: i64) -> Time {
    Time::from_unix(seconds, 0)
}

fn writer(dir: &std::path::Path, max_size: u64, max_files: u32) -> LogWriter {
    LogWriter::open(dir, LogOptions { driver: LogDriver::JsonFile, max_size, max_files }).unwrap()
}

fn read_all(dir: &std::path::Path, query: LogQuery) -> Vec<Entry> {
    let mut reader = LogReader::open(dir, query).unwrap();
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

fn text(entries: &[Entry]) -> String {
    entries.iter().map(|entry| entry.log.as_str()).collect()
}

#[test]
fn the_format_is_dockers() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), 1 << 20, 3);
    log.write(Stream::Stdout, b"hi \"you\" <b>\t\x01\xff\n", Time::from_unix(1_700_000_000, 120)).unwrap();
    let file = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
    let expected = concat!(
        r#"{"log":"hi \"you\" \u003cb\u003e\t\u0001\ufffd\n","stream":"stdout","#,
        r#""time":"2023-11-14T22:13:20.00000012Z"}"#,
        "\n"
    );
    assert_eq!(file, expected);
    assert_eq!(read_all(dir.path(), LogQuery::default())[0].log, "hi \"you\" <b>\t\u{1}\u{fffd}\n");
}

#[test]
fn lines_are_put_together_and_long_ones_split() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), 1 << 20, 3);
    log.write(Stream::Stdout, b"one ", at(1)).unwrap();
    log.write(Stream::Stderr, b"error\n", at(2)).unwrap();
    log.write(Stream::Stdout, b"line\n", at(3)).unwrap();
    let long = "ä".repeat(20_000);
    log.write(Stream::Stdout, long.as_bytes(), at(4)).unwrap();
    log.end_of_run(at(5)).unwrap();
    let entries = read_all(dir.path(), LogQuery::default());
    assert_eq!(entries[0].stream, Stream::Stderr);
    assert_eq!(entries[1].log, "one line\n");
    assert_eq!(entries.len(), 5);
    assert_eq!(text(&entries[2..]), long);
}

#[test]
fn rotation_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), 1000, 3);
    for number in 0..100 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes(), at(number)).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    let entries = read_all(dir.path(), LogQuery::default());
    assert_eq!(entries.last().unwrap().log, "line 99\n");
    let first: i64 = entries[0].log.trim()[5..].parse().unwrap();
    assert_eq!(entries.len() as i64, 100 - first);
    for tail in [0, 1, 5, 15, 20, 1000] {
        let tailed = read_all(dir.path(), LogQuery { tail: Some(tail), ..LogQuery::default() });
        let expected = &entries[entries.len().saturating_sub(tail)..];
        assert_eq!(tailed, expected, "tail {tail}");
    }
    let window = LogQuery { tail: Some(2), since: Some(at(85)), until: Some(at(90)) };
    assert_eq!(text(&read_all(dir.path(), window)), "line 89\nline 90\n");
}

#[test]
fn a_torn_record_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    writer(dir.path(), 1 << 20, 3).write(Stream::Stdout, b"one\n", at(1)).unwrap();
    let path = dir.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"log\":\"tw");
    std::fs::write(&path, bytes).unwrap();
    writer(dir.path(), 1 << 20, 3).write(Stream::Stdout, b"three\n", at(3)).unwrap();
    assert_eq!(text(&read_all(dir.path(), LogQuery::default())), "one\nthree\n");
}

#[test]
fn a_follower_survives_rotation_and_ends_with_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(dir.path(), 300, 10);
    let mut reader = LogReader::open(dir.path(), LogQuery::default()).unwrap();
    let mut seen = String::new();
    for number in 0..20 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes(), at(number)).unwrap();
        if number % 7 == 0 {
            assert_eq!(reader.look_again(true).unwrap(), Follow::Again);
            while let Some(entry) = reader.next_entry().unwrap() {
                seen.push_str(&entry.log);
            }
        }
    }
    while reader.look_again(false).unwrap() == Follow::Again {
        while let Some(entry) = reader.next_entry().unwrap() {
            seen.push_str(&entry.log);
        }
    }
    let expected: String = (0..20).map(|number| format!("line {number}\n")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn no_driver_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { driver: LogDriver::None, ..LogOptions::default() };
    LogWriter::open(dir.path(), options).unwrap().write(Stream::Stdout, b"x\n", at(1)).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
