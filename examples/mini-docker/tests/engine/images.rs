//! Images: listing, names, removal, and a real registry on loopback.

use std::net::TcpListener;

use image_store::registry_server::{Storage, random_credential, serve};
use test_lane::{Need, Outcome, case};

use crate::world::{World, free_port, has, same};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("images_are_listed_tagged_and_removed", ROOT, local),
        case("images_push_and_pull", ROOT, registry),
        case("images_bad_registries", ROOT, bad_registries),
        case("images_in_use_stay", ROOT, in_use),
    ]
}

fn local() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "--rm", "base", "true"])?;
    has(&world.ok(&["images"])?, "REPOSITORY   TAG       IMAGE ID       CREATED   SIZE")?;
    world.ok(&["tag", "base", "my/app:2"])?;
    same(world.ok(&["images", "my/app", "--format", "{{.Tag}}"])?, "2".to_owned())?;
    same(world.ok(&["images", "-q"])?.lines().count(), 1)?;
    same(world.ok(&["rmi", "my/app:2"])?, "Untagged: my/app:2".to_owned())?;
    has(&world.ok(&["rmi", "base"])?, "Deleted: sha256:")?;
    same(world.ok(&["images", "-q"])?, String::new())?;
    has(&world.fails(1, &["tag", "base", "x"])?, "no such image: base")?;
    has(&world.fails(1, &["rmi", "nothing"])?, "no such image: nothing")
}

fn registry() -> Outcome {
    let world = World::new()?;
    let (user, password) = random_credential()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = serve(listener, Storage::Memory, Some((user.clone(), password.clone())))?;
    let host = server.address().to_string();
    let name = format!("{host}/team/app:1.0");
    world.ok(&["run", "--rm", "base", "true"])?;
    world.ok(&["tag", "base", &name])?;
    world.fails(1, &["push", &name])?;
    let did = world.with_input(&["login", "-u", &user, "--password-stdin", &host], password.as_bytes())?;
    same(did.code, 0)?;
    let pushed = world.ok(&["push", &name])?;
    has(&pushed, "Pushed")?;
    has(&pushed, "1.0: digest: sha256:")?;
    let digest = world.inspect(&name, ".Id")?;
    world.ok(&["rmi", "-f", &digest])?;
    let pulled = world.ok(&["pull", &name])?;
    has(&pulled, "Status: Downloaded newer image for")?;
    same(world.inspect(&name, ".Id")?, digest)?;
    has(&world.ok(&["pull", &name])?, "Status: Image is up to date for")?;
    world.ok(&["rmi", &name])?;
    let did = world.run(&["run", "--rm", &name, "echo", "pulled"])?;
    same((did.code, did.out.as_str()), (0, "pulled\n"))?;
    has(&did.err, &format!("Unable to find image '{name}' locally"))?;
    server.shutdown();
    Ok(())
}

fn bad_registries() -> Outcome {
    let world = World::new()?;
    let port = free_port()?;
    let did = world.run(&["run", &format!("127.0.0.1:{port}/app:1"), "true"])?;
    same(did.code, 125)?;
    let error = did.err.lines().last().unwrap_or_default().to_owned();
    has(&error, "mini-docker: cannot reach registry")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = serve(listener, Storage::Memory, None)?;
    let host = server.address();
    has(&world.fails(1, &["pull", &format!("{host}/none:1")])?, "none")?;
    let wrong = format!("{host}/none@sha256:{}", "0".repeat(64));
    world.fails(1, &["pull", &wrong])?;
    has(&world.fails(125, &["run", "Bad Name", "true"])?, "invalid reference")?;
    has(&world.fails(125, &["run", "--pull", "never", "nothere", "true"])?, "No such image: nothere:latest")?;
    server.shutdown();
    world.nothing_is_left(&[])
}

fn in_use() -> Outcome {
    let world = World::new()?;
    world.ok(&["create", "--name", "box", "base", "true"])?;
    has(&world.fails(1, &["rmi", "base"])?, "box")?;
    world.ok(&["rm", "box"])?;
    world.ok(&["rmi", "base"])?;
    Ok(())
}
