//! `ps`.

use container_core::supervisor::{State, Status, Time};
use serde_json::{Value, json};

use super::print;
use crate::cli::PsArgs;
use crate::engine::{Engine, Seen};
use crate::error::{Error, Result};
use crate::text::table;
use crate::text::template::Template;
use crate::text::units::human_duration;
use crate::wiring::Attached;

const HEADER: [&str; 7] = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];

pub(super) fn ps(engine: &Engine, args: &PsArgs) -> Result<u8> {
    let filters = args.filter.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>>>()?;
    let every = args.all || args.last.is_some() || args.latest || filters.iter().any(Filter::is_about_state);
    let mut seen: Vec<Seen> = engine
        .see_all()?
        .into_iter()
        .filter(|seen| every || seen.state.status.is_active())
        .filter(|seen| filters.iter().all(|filter| filter.takes(seen)))
        .collect();
    if let Some(count) = args.last.or(args.latest.then_some(1)) {
        seen.truncate(count);
    }
    let now = Time::now();
    if args.quiet {
        let ids: Vec<String> = seen.iter().map(|seen| shown_id(seen, args.no_trunc) + "\n").collect();
        return print(&ids.concat()).map(|()| 0);
    }
    let rows: Vec<[String; 7]> = seen.iter().map(|seen| row(seen, now, args.no_trunc)).collect();
    print(&formatted(&seen, &rows, args.format.as_deref())?)?;
    Ok(0)
}

fn formatted(seen: &[Seen], rows: &[[String; 7]], format: Option<&str>) -> Result<String> {
    let values = || seen.iter().zip(rows).map(|(seen, row)| fields(seen, row));
    match format {
        None | Some("table" | "") => {
            let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
            Ok(table::render(&HEADER, &rows))
        }
        Some("json") => Ok(values().map(|value| format!("{value}\n")).collect()),
        Some(text) => templated(text, values()),
    }
}

/// Fills a template for each value; `table TEMPLATE` puts them below a header.
pub(super) fn templated(text: &str, values: impl Iterator<Item = Value>) -> Result<String> {
    let as_table = text.strip_prefix("table ");
    let template = Template::parse(as_table.unwrap_or(text)).map_err(Error::usage)?;
    let lines = values.map(|value| template.render(&value).map_err(Error::usage)).collect::<Result<Vec<String>>>()?;
    if as_table.is_none() {
        return Ok(lines.into_iter().map(|line| line + "\n").collect());
    }
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<String>>();
    let rows: Vec<Vec<String>> = std::iter::once(template.header()).chain(lines).map(|line| cells(&line)).collect();
    Ok(table::lines(rows.iter()))
}

fn shown_id(seen: &Seen, whole: bool) -> String {
    if whole { seen.definition.id.clone() } else { seen.definition.short_id().to_owned() }
}

fn row(seen: &Seen, now: Time, whole: bool) -> [String; 7] {
    let command = seen.details.args().join(" ");
    let command = if whole { command } else { table::ellipsis(&command, 20) };
    [
        shown_id(seen, whole),
        shown_image(&seen.details.image, &seen.details.image_id, whole),
        format!("\"{}\"", command.escape_default().to_string().replace("\\u{2026}", "…").replace("\\'", "'")),
        format!("{} ago", human_duration(now.since(seen.definition.created))),
        status(&seen.state, now),
        ports(seen),
        seen.definition.name.clone(),
    ]
}

/// An image that was named by its id is shown by the short one.
fn shown_image(name: &str, id: &str, whole: bool) -> String {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    let named_by_id = name.strip_prefix("sha256:").unwrap_or(name);
    if !whole && named_by_id.len() >= 12 && hex.starts_with(named_by_id) {
        hex[..12].to_owned()
    } else {
        name.to_owned()
    }
}

/// `Up 2 minutes (Paused)`, `Exited (0) 3 seconds ago`.
fn status(state: &State, now: Time) -> String {
    let up = || human_duration(now.since(state.started_at));
    let ended = || human_duration(now.since(state.finished_at));
    match state.status {
        Status::Running => format!("Up {}", up()),
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ended()),
        Status::Created => "Created".to_owned(),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        _ => format!("Exited ({}) {} ago", state.exit_code, ended()),
    }
}

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`
fn ports(seen: &Seen) -> String {
    if !seen.state.status.is_active() {
        return String::new();
    }
    let attached = Attached::of(&seen.state.attachment);
    let published =
        |text: &String| attached.ports.iter().any(|port| *text == format!("{}/{}", port.container_port, port.protocol));
    let exposed = seen.details.exposed.iter().filter(|port| !published(port)).cloned();
    attached.ports.iter().map(ToString::to_string).chain(exposed).collect::<Vec<_>>().join(", ")
}

fn fields(seen: &Seen, row: &[String; 7]) -> Value {
    let [id, image, command, running_for, status, ports, names] = row;
    let labels: Vec<String> = seen.definition.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "ID": id,
        "Image": image,
        "Command": command,
        "CreatedAt": seen.definition.created.to_string(),
        "RunningFor": running_for,
        "State": seen.state.status.as_str(),
        "Status": status,
        "Ports": ports,
        "Names": names,
        "Labels": labels.join(","),
        "Networks": seen.details.network.as_str(),
    })
}

enum Filter {
    Id(String),
    Name(String),
    Status(String),
    Label(String, Option<String>),
    Ancestor(String),
    Exited(i32),
}

impl Filter {
    fn parse(text: &str) -> Result<Self> {
        let bad = || Error::usage(format!("invalid filter '{text}': use id, name, status, label, ancestor or exited"));
        let (key, value) = text.split_once('=').ok_or_else(bad)?;
        let value = value.to_owned();
        Ok(match key {
            "id" => Self::Id(value),
            "name" => Self::Name(value.trim_start_matches('/').to_owned()),
            "status" => Self::Status(value),
            "label" => match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value, None),
            },
            "ancestor" => Self::Ancestor(value),
            "exited" => Self::Exited(value.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        })
    }

    /// Whether it asks for containers that do not run.
    fn is_about_state(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Exited(_))
    }

    fn takes(&self, seen: &Seen) -> bool {
        match self {
            Self::Id(id) => seen.definition.id.starts_with(id),
            Self::Name(name) => match name.strip_prefix('^') {
                Some(name) => match name.strip_suffix('$') {
                    Some(name) => seen.definition.name == name,
                    None => seen.definition.name.starts_with(name),
                },
                None => seen.definition.name.contains(name),
            },
            Self::Status(status) => seen.state.status.as_str() == status,
            Self::Label(key, value) => {
                seen.definition.labels.get(key).is_some_and(|has| value.as_ref().is_none_or(|value| value == has))
            }
            Self::Ancestor(image) => {
                seen.details.image == *image
                    || seen.details.image.split(':').next() == Some(image)
                    || seen.details.image_id.trim_start_matches("sha256:").starts_with(image)
            }
            Self::Exited(code) => seen.state.status == Status::Exited && seen.state.exit_code == *code,
        }
    }
}
