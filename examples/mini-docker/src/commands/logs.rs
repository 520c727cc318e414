//! `logs`.

use std::io::{BufWriter, ErrorKind, Write};
use std::time::Duration;

use container_core::supervisor::protocol::Stream;
use container_core::supervisor::{ContainerDir, Entry, Follow, LogDriver, LogQuery, LogReader, Time};

use crate::cli::LogsArgs;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::text::units::parse_duration;

/// How often a follower looks for more: a log file cannot be waited for.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn logs(engine: &Engine, args: &LogsArgs) -> Result<u8> {
    let seen = engine.see(&args.container)?;
    if seen.definition.log.driver == LogDriver::None {
        let message = "configured logging driver does not support reading".to_owned();
        return Err(Error::Refused { message });
    }
    let query = query(args)?;
    let mut reader = LogReader::open(&seen.dir.log_dir(), query)?;
    let printed = if args.follow {
        follow(engine, &seen.dir, &mut reader, args.timestamps)
    } else {
        show(&mut reader, args.timestamps)
    };
    match printed {
        // Whoever read has seen enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(0),
        other => other.map(|()| 0),
    }
}

fn query(args: &LogsArgs) -> Result<LogQuery> {
    let tail = match args.tail.as_str() {
        "all" | "-1" => None,
        number => Some(number.parse().map_err(|_| Error::usage(format!("invalid --tail value: {number}")))?),
    };
    let moment = |text: &Option<String>| text.as_deref().map(parse_moment).transpose();
    Ok(LogQuery { tail, since: moment(&args.since)?, until: moment(&args.until)? })
}

/// A time, seconds since 1970, or so long ago.
fn parse_moment(text: &str) -> Result<Time> {
    if let Some(ago) = parse_duration(text) {
        return Ok(Time::now().before(ago));
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(Time::from_unix(seconds, 0));
    }
    text.parse().map_err(|error| Error::usage(format!("{error}, and no duration like 42m")))
}

fn show(reader: &mut LogReader, timestamps: bool) -> Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    let mut err = BufWriter::with_capacity(64 * 1024, std::io::stderr().lock());
    let failed = || Error::io("write to", "standard output");
    while let Some(entry) = reader.next_entry()? {
        let written = match entry.stream {
            Stream::Stdout => out.write_all(line(&entry, timestamps).as_bytes()),
            Stream::Stderr => err.write_all(line(&entry, timestamps).as_bytes()),
        };
        written.map_err(failed())?;
    }
    out.flush().and_then(|()| err.flush()).map_err(failed())
}

fn line(entry: &Entry, timestamps: bool) -> String {
    if timestamps { format!("{} {}", entry.time.fixed_width(), entry.log) } else { entry.log.clone() }
}

fn follow(engine: &Engine, dir: &ContainerDir, reader: &mut LogReader, timestamps: bool) -> Result<()> {
    loop {
        show(reader, timestamps)?;
        let writing = dir.exists() && engine.operator().settle(dir)?.status.is_active();
        match reader.look_again(writing)? {
            Follow::Done => return Ok(()),
            Follow::Again if writing => std::thread::sleep(LOOK),
            Follow::Again => {}
        }
    }
}
