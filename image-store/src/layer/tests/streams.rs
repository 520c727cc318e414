//! Streams: archives against the tar crate as oracle, compression in all its forms, and random bytes.

use std::io::{Read as _, Write as _};

use proptest::prelude::*;

use super::Raw;
use crate::layer::tar::{Kind, TarReader};
use crate::layer::{Content, Decompressor, Node, TarWriter};

fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    Decompressor::new(bytes)?.read_to_end(&mut plain)?;
    Ok(plain)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn every_compression_is_told_by_its_bytes() {
    let text = b"some text ".repeat(100_000);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (what, packed) in [
        ("plain", text.clone()),
        ("gzip", gzip(&text)),
        ("gzip, two members", [gzip(&text[..7]), gzip(&text[7..])].concat()),
        ("zstd", zstd(&text)),
        ("zstd, frames", [zstd(&text[..7]), skippable.clone(), zstd(&text[7..]), skippable.clone()].concat()),
        ("zstd, first frame skipped", [skippable, zstd(&text)].concat()),
    ] {
        assert_eq!(unpack(&packed).unwrap().len(), text.len(), "{what}");
    }
    assert_eq!(unpack(b"").unwrap(), b"");
    assert!(unpack(&gzip(&text)[..100]).is_err());
    assert!(unpack(&zstd(&text)[..20]).is_err());
}

fn entries(bytes: &[u8]) -> crate::Result<Vec<(Vec<u8>, Kind)>> {
    let mut reader = TarReader::new(bytes, "layer test".to_owned());
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push((entry.path, entry.kind));
    }
    Ok(entries)
}

#[test]
fn gnu_names_are_read() {
    let name = "n".repeat(150);
    let raw = Raw::default()
        .entry(b'L', "././@LongLink", "", format!("{name}\0").as_bytes())
        .entry(b'K', "././@LongLink", "", format!("{name}/target\0").as_bytes())
        .symlink("short", "short");
    let found = entries(&raw.end()).unwrap();
    assert_eq!(found, [(name.clone().into_bytes(), Kind::Symlink { target: format!("{name}/target").into_bytes() })]);
}

fn node() -> impl Strategy<Value = Node> {
    let content = prop_oneof![
        Just(Content::Folder),
        "[a-z/]{1,150}".prop_map(|target| Content::Link(target.into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Content::Bytes),
    ];
    ("[a-zA-Z0-9 _.ü-]{1,90}(/[a-z]{1,90}){0,3}", content, 0_u32..0o1000).prop_map(|(path, content, mode)| Node {
        path: path.into_bytes(),
        mode,
        mtime: 5,
        content,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_what_both_readers_read(nodes in proptest::collection::vec(node(), 0..6)) {
        let mut writer = TarWriter::new(Vec::new());
        for node in &nodes {
            writer.node(node).unwrap();
        }
        let archive = writer.finish().unwrap();
        let ours: Vec<_> = entries(&archive).unwrap().into_iter().map(|(path, _)| path).collect();
        let mut theirs = Vec::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            theirs.push(entry.unwrap().path_bytes().into_owned());
        }
        prop_assert_eq!(&ours, &theirs);
        for (node, path) in nodes.iter().zip(&ours) {
            let path = path.strip_suffix(b"/").unwrap_or(path);
            prop_assert_eq!(&node.path[..], path);
        }
    }

    #[test]
    fn what_the_oracle_writes_is_read(names in proptest::collection::vec("[a-z]{1,120}(/[a-z]{1,120}){0,2}", 0..6)) {
        let mut builder = tar::Builder::new(Vec::new());
        for name in &names {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &b"abc"[..]).unwrap();
        }
        let found = entries(&builder.into_inner().unwrap()).unwrap();
        prop_assert_eq!(found, names.into_iter().map(|name| (name.into_bytes(), Kind::File { size: 3 })).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_archives_never_panic(at in 0_usize..2048, value in any::<u8>(), cut in 0_usize..2600) {
        let mut archive = Raw::default().pax(&[("path", b"p")]).file("x", "content").symlink("l", "x").end();
        archive[at] = value;
        archive.truncate(cut);
        let _ = entries(&archive);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        let _ = entries(&bytes);
        let _ = unpack(&bytes);
        let _ = unpack(&[&[0x1f, 0x8b, 8, 0][..], &bytes].concat());
        let _ = unpack(&[&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat());
    }
}
