//! Names: finding an image by what people type, giving it names, and taking them away.

use super::index::{self, Entry};
use super::{Freed, Image, Store};
use crate::{Digest, Error, Reference, Result};

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// The names that no longer lead anywhere.
    pub untagged: Vec<Reference>,
    /// The id of the image, if it went with its last name.
    pub deleted: Option<Digest>,
    /// What the sweep freed.
    pub freed: Freed,
}

impl Store {
    /// Finds an image by name, by digest, or by the beginning of its id.
    ///
    /// # Errors
    /// `UnknownImage`, `AmbiguousId`, or trouble with the store.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let images = self.images()?;
        pick(&images, text).cloned()
    }

    /// Gives the image one more name. An image that had this name before loses it, and stays without a name if it was
    /// the last one.
    ///
    /// # Errors
    /// `Io`, or `UnknownImage` when somebody removed the image meanwhile.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<()> {
        let lock = self.lock()?;
        if !self.has_blob(image.digest) {
            return Err(Error::UnknownImage { name: image.id.to_string() });
        }
        let mut entries = self.entries()?;
        let entry = Entry { manifest: image.descriptor(), name: Some(name.without_digest()), pulled: image.pulled };
        index::insert(&mut entries, entry);
        self.write_entries(&lock, &entries)
    }

    /// Removes a name, and with the last name the image; or, given an id, the image with all its names.
    ///
    /// With `force`, an image with several names may go by its id, and an image that a hold needs loses its names.
    ///
    /// # Errors
    /// `UnknownImage`, `AmbiguousId`, `InUse` (several names, or held), or trouble with the store.
    pub fn remove(&self, text: &str, force: bool) -> Result<Removed> {
        let lock = self.lock()?;
        let images = self.images()?;
        let image = pick(&images, text)?;
        let name = named(image, text);
        let last = name.is_none() || image.names.len() <= 1;
        if name.is_none() && image.names.len() > 1 && !force {
            let by = format!("{} names (remove them one by one, or force it)", image.names.len());
            return Err(Error::InUse { image: image.id.short(), by });
        }
        let holders = if last { self.holders(image.digest)? } else { Vec::new() };
        if let (Some(holder), false) = (holders.first(), force) {
            return Err(Error::InUse { image: text.to_owned(), by: holder.clone() });
        }
        let untagged: Vec<Reference> = name.map_or_else(|| image.names.clone(), |name| vec![name]);
        let mut entries = self.entries()?;
        for name in &untagged {
            index::take_name(&mut entries, name, None);
        }
        let gone = last && holders.is_empty();
        if gone {
            entries.retain(|entry| entry.manifest.digest != image.digest);
        }
        self.write_entries(&lock, &entries)?;
        let freed = if gone { self.sweep(&lock)? } else { Freed::default() };
        Ok(Removed { untagged, deleted: gone.then_some(image.id), freed })
    }

    /// Removes every image that has no name and that nothing holds. Returns their ids.
    ///
    /// # Errors
    /// Trouble with the store.
    pub fn prune(&self) -> Result<Removed> {
        let lock = self.lock()?;
        let mut entries = self.entries()?;
        let mut deleted = None;
        for image in self.images()?.iter().filter(|image| image.names.is_empty()) {
            if self.holders(image.digest)?.is_empty() {
                entries.retain(|entry| entry.manifest.digest != image.digest);
                deleted = Some(image.id);
            }
        }
        self.write_entries(&lock, &entries)?;
        Ok(Removed { untagged: Vec::new(), deleted, freed: self.sweep(&lock)? })
    }
}

/// The name of `image` that `text` stands for, unless `text` is its id or digest.
fn named(image: &Image, text: &str) -> Option<Reference> {
    let reference = Reference::parse(text).ok()?;
    image.names.iter().find(|name| **name == reference || **name == reference.without_digest()).cloned()
}

fn pick<'a>(images: &'a [Image], text: &str) -> Result<&'a Image> {
    let unknown = || Error::UnknownImage { name: text.to_owned() };
    let by_digest = Digest::parse(text).ok().or_else(|| Digest::from_hex(text));
    if let Some(digest) = by_digest {
        return images.iter().find(|image| has_digest(image, digest)).ok_or_else(unknown);
    }
    if let Ok(reference) = Reference::parse(text)
        && let Some(image) = images.iter().find(|image| fits(image, &reference))
    {
        return Ok(image);
    }
    let prefix = text.strip_prefix("sha256:").unwrap_or(text);
    if prefix.len() < 2 || !prefix.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        // A text that is no name at all deserves the reason.
        return Err(Reference::parse(text).err().unwrap_or_else(unknown));
    }
    let begins = |digest: Digest| digest.hex().starts_with(prefix);
    let mut found = images.iter().filter(|image| begins(image.id) || begins(image.digest));
    match (found.next(), found.count()) {
        (Some(image), 0) => Ok(image),
        (Some(_), more) => Err(Error::AmbiguousId { prefix: prefix.to_owned(), matches: more + 1 }),
        (None, _) => Err(unknown()),
    }
}

fn has_digest(image: &Image, digest: Digest) -> bool {
    image.digest == digest || image.id == digest || image.pulled == Some(digest)
}

fn fits(image: &Image, wanted: &Reference) -> bool {
    let Some(digest) = wanted.digest() else { return image.names.contains(wanted) };
    has_digest(image, digest)
        && image.names.iter().any(|name| {
            (name.registry(), name.repository()) == (wanted.registry(), wanted.repository())
                && (wanted.tag().is_none() || wanted.tag() == name.tag())
        })
}
