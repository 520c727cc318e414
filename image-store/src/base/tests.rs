//! The base image of this very machine: complete, reproducible, private.

use super::{NEEDED, Recipe, Tools};
use crate::{Error, Reference, Store};

fn build(tools: Tools) -> Option<(tempfile::TempDir, crate::Image, Recipe)> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store")).unwrap();
    let recipe = match Recipe::from_host(tools) {
        Ok(recipe) => recipe,
        Err(Error::Unsupported { .. }) if tools == Tools::Busybox => return None,
        Err(error) => panic!("{error}"),
    };
    let image = recipe.build(&store, &Reference::parse("base").unwrap()).unwrap();
    Some((folder, image, recipe))
}

#[test]
fn the_same_host_gives_the_same_digest() {
    for tools in [Tools::Host, Tools::Busybox] {
        let (Some((_a, one, _)), Some((_b, two, _))) = (build(tools), build(tools)) else { continue };
        assert_eq!(one.digest, two.digest);
    }
}

#[test]
fn it_has_the_tools_and_nothing_private() {
    let (_folder, image, recipe) = build(Tools::Host).unwrap();
    for tool in NEEDED {
        assert!(recipe.tools().iter().any(|found| found == tool), "{tool}");
    }
    let paths: Vec<_> = recipe.paths().collect();
    assert!(paths.iter().any(|(path, _)| path == "/etc/passwd"));
    for (path, source) in paths {
        let Some(source) = source else { continue };
        let allowed = ["/usr/", "/bin/", "/lib", "/sbin/", "/nix/store/"].iter().any(|start| source.starts_with(start))
            || path == super::collect::CERTIFICATE_BUNDLE
            || source.to_string_lossy().starts_with("/lib");
        assert!(allowed, "{path} from {}", source.display());
    }
    assert_eq!(image.config.command(), ["/bin/sh"]);
    assert!(image.config.env[0].starts_with("PATH="));
}

#[test]
fn no_file_is_set_id() {
    for tools in [Tools::Host, Tools::Busybox] {
        let Some((_folder, _, recipe)) = build(tools) else { continue };
        assert!(recipe.nodes.iter().all(|node| node.mode & 0o6000 == 0));
    }
}
