//! `images`, `tag` and `rmi`.

use container_core::supervisor::Time;
use image_store::{Image, Reference};
use serde_json::{Value, json};

use super::list::templated;
use super::{each, print, say};
use crate::cli::{ImagesArgs, RmiArgs, TagArgs};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::text::table;
use crate::text::units::{human_duration, human_size};

pub(super) fn images(engine: &Engine, args: &ImagesArgs) -> Result<u8> {
    let mut lines: Vec<Line> = Vec::new();
    for image in engine.store().images()? {
        lines.extend(Line::of(&image, args));
    }
    if let Some(wanted) = &args.repository {
        lines.retain(|line| line.repository == *wanted || format!("{}:{}", line.repository, line.tag) == *wanted);
    }
    lines.reverse();
    if args.quiet {
        lines.dedup_by(|one, other| one.id == other.id);
        print(&lines.iter().map(|line| format!("{}\n", line.id)).collect::<String>())?;
        return Ok(0);
    }
    let text = match args.format.as_deref() {
        None | Some("table" | "") => as_table(&lines, args.digests),
        Some("json") => lines.iter().map(|line| format!("{}\n", line.fields())).collect(),
        Some(template) => templated(template, lines.iter().map(Line::fields))?,
    };
    print(&text)?;
    Ok(0)
}

struct Line {
    repository: String,
    tag: String,
    digest: String,
    id: String,
    created: String,
    size: String,
}

impl Line {
    /// One line per name; an image without one is `<none>`.
    fn of(image: &Image, args: &ImagesArgs) -> Vec<Self> {
        let with = |repository: String, tag: String| Self {
            repository,
            tag,
            digest: image.digest.to_string(),
            id: if args.no_trunc { image.id.to_string() } else { image.id.short() },
            created: created(image),
            size: human_size(image.size),
        };
        if image.names.is_empty() {
            return vec![with("<none>".to_owned(), "<none>".to_owned())];
        }
        let named = |name: &Reference| with(name.familiar_name(), name.tag().unwrap_or("<none>").to_owned());
        image.names.iter().map(named).collect()
    }

    fn fields(&self) -> Value {
        json!({
            "Repository": self.repository,
            "Tag": self.tag,
            "Digest": self.digest,
            "ID": self.id,
            "CreatedSince": self.created,
            "Size": self.size,
        })
    }
}

fn created(image: &Image) -> String {
    let created = image.config.created.as_deref().and_then(|text| text.parse::<Time>().ok());
    match created {
        // The beginning of time stands for "reproducible": Docker shows that as N/A.
        Some(time) if time.unix_seconds() > 0 => format!("{} ago", human_duration(Time::now().since(time))),
        _ => "N/A".to_owned(),
    }
}

fn as_table(lines: &[Line], digests: bool) -> String {
    let mut header = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    if digests {
        header.insert(2, "DIGEST");
    }
    let row = |line: &Line| {
        let mut row =
            vec![line.repository.clone(), line.tag.clone(), line.id.clone(), line.created.clone(), line.size.clone()];
        if digests {
            row.insert(2, line.digest.clone());
        }
        row
    };
    table::render(&header, &lines.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn tag(engine: &Engine, args: &TagArgs) -> Result<u8> {
    let target = Reference::parse(&args.target)?;
    if target.digest().is_some() {
        return Err(Error::Refused { message: "refusing to create a tag with a digest reference".to_owned() });
    }
    let image = engine.store().resolve(&args.source)?;
    engine.store().tag(&image, &target)?;
    Ok(0)
}

pub(super) fn rmi(engine: &Engine, args: &RmiArgs) -> Result<u8> {
    engine.release_stale_holds()?;
    each(&args.images, |name| {
        let removed = engine.store().remove(name, args.force).map_err(|error| in_dockers_words(engine, error))?;
        for name in &removed.untagged {
            say(&format!("Untagged: {name}"))?;
        }
        if let Some(id) = removed.deleted {
            say(&format!("Deleted: {id}"))?;
        }
        Ok(())
    })
}

/// An image in use is in use by a container, which people know by its name.
fn in_dockers_words(engine: &Engine, error: image_store::Error) -> Error {
    let image_store::Error::InUse { image, by } = &error else { return error.into() };
    let Ok(definition) = engine.state().container(by).definition() else { return error.into() };
    let message = format!(
        "conflict: unable to remove repository reference \"{image}\" (must force) - container {} ({}) is using it",
        definition.short_id(),
        definition.name
    );
    Error::Refused { message }
}
