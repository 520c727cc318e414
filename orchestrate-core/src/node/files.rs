//! The files of volumes that come out of objects: ConfigMaps, Secrets, the downward API.

use std::collections::BTreeMap;

use super::config::{Addresses, field_value};
use crate::objects::{KeyToPath, Pod, Volume};
use crate::{Error, World};

/// One file of such a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBody {
    /// Its path inside the volume: relative, without `..`.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The files of a volume, or `None` for a volume that is not made of objects (or of a kind unknown here).
///
/// # Errors
/// `Unresolved` when the object or a key is missing, or a path would leave the volume.
pub fn volume_files(
    pod: &Pod,
    volume: &Volume,
    world: &World,
    at: Addresses<'_>,
) -> Result<Option<Vec<FileBody>>, Error> {
    let namespace = &pod.metadata.namespace;
    let files = if let Some(source) = &volume.config_map {
        let data = world.config_maps.get(namespace, &source.name).map(|map| {
            let texts = map.data.iter().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
            let bytes = map.binary_data.iter().map(|(k, v)| (k.clone(), decode_base64(v).unwrap_or_default()));
            texts.chain(bytes).collect()
        });
        let optional = source.optional == Some(true);
        chosen(data, &source.items, mode(source.default_mode), optional, &format!("configmap \"{}\"", source.name))?
    } else if let Some(source) = &volume.secret {
        let data = world
            .secrets
            .get(namespace, &source.secret_name)
            .map(|secret| secret.data.iter().map(|(k, v)| (k.clone(), decode_base64(v).unwrap_or_default())).collect());
        let optional = source.optional == Some(true);
        chosen(data, &source.items, mode(source.default_mode), optional, &format!("secret \"{}\"", source.secret_name))?
    } else if let Some(source) = &volume.downward_api {
        let mut files = Vec::new();
        for item in &source.items {
            let Some(field) = &item.field_ref else { continue };
            let content = field_value(pod, &field.field_path, at)?.into_bytes();
            files.push(FileBody { path: item.path.clone(), mode: mode(item.mode.or(source.default_mode)), content });
        }
        files
    } else {
        return Ok(None);
    };
    match files.iter().find(|f| !is_inside(&f.path)) {
        Some(bad) => {
            Err(Error::Unresolved { what: format!("path {:?} leaves the volume \"{}\"", bad.path, volume.name) })
        }
        None => Ok(Some(files)),
    }
}

fn mode(mode: Option<i32>) -> u32 {
    u32::try_from(mode.unwrap_or(0o644)).unwrap_or(0o644) & 0o777
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
}

/// All keys, or the chosen ones under their paths.
fn chosen(
    data: Option<BTreeMap<String, Vec<u8>>>,
    items: &[KeyToPath],
    mode_by_default: u32,
    optional: bool,
    what: &str,
) -> Result<Vec<FileBody>, Error> {
    let Some(data) = data else {
        return if optional { Ok(Vec::new()) } else { Err(Error::Unresolved { what: format!("{what} not found") }) };
    };
    if items.is_empty() {
        let all = data.into_iter();
        return Ok(all.map(|(path, content)| FileBody { path, mode: mode_by_default, content }).collect());
    }
    let mut files = Vec::new();
    for item in items {
        match data.get(&item.key) {
            Some(content) => files.push(FileBody {
                path: item.path.clone(),
                mode: item.mode.map_or(mode_by_default, |m| mode(Some(m))),
                content: content.clone(),
            }),
            None if optional => {}
            None => {
                let what = format!("references non-existent {what} key: {}", item.key);
                return Err(Error::Unresolved { what });
            }
        }
    }
    Ok(files)
}

/// Decodes standard base64 with padding.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    let body = text_without_padding(&digits)?;
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    for group in body.chunks(4) {
        let mut bits = 0u32;
        for c in group {
            bits = bits << 6 | u32::from(value(*c)?);
        }
        bits <<= 6 * (4 - group.len());
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(&bytes[1..group.len()]);
    }
    Some(out)
}

fn text_without_padding(digits: &[u8]) -> Option<&[u8]> {
    let padding = digits.iter().rev().take_while(|c| **c == b'=').count();
    (digits.len().is_multiple_of(4) && padding <= 2).then(|| &digits[..digits.len() - padding])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Object, SecretVolume};
    use crate::{Change, Resource};
    use serde_json::json;

    #[test]
    fn base64() {
        for (text, want) in [
            ("", Some("")),
            ("aGk=", Some("hi")),
            ("aGV5IQ==", Some("hey!")),
            ("YWJj", Some("abc")),
            ("a", None),
            ("@@@@", None),
            ("====", None),
        ] {
            assert_eq!(decode_base64(text), want.map(|w| w.as_bytes().to_vec()), "{text}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        let mut world = World::default();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "d"}, "data": {"k": "aGk="}});
        world.apply(Change::Set(Object::from_json(secret).unwrap()));
        let pod = Pod { metadata: crate::objects::ObjectMeta::named("d", "p"), ..Pod::default() };
        assert_eq!(pod.key().to_string(), "Pod d/p");
        let files = |path: &str| {
            let items = vec![KeyToPath { key: "k".into(), path: path.into(), ..KeyToPath::default() }];
            let secret = Some(SecretVolume { secret_name: "s".into(), items, ..SecretVolume::default() });
            let volume = Volume { name: "v".into(), secret, ..Volume::default() };
            volume_files(&pod, &volume, &world, Addresses::default())
        };
        assert_eq!(files("a/b").unwrap().unwrap()[0].content, b"hi");
        for bad in ["../x", "/x", "a//b", "a/../b", ""] {
            assert!(files(bad).is_err(), "{bad}");
        }
    }
}
