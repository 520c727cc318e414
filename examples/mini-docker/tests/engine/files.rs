//! `cp`: both directions, running and stopped, streams, and trees that mean harm.

use test_lane::{Need, Outcome, case};

use crate::world::{World, exists, has, same};

const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    vec![
        case("cp_follows_dockers_rules", ROOT, rules),
        case("cp_works_when_stopped", ROOT, stopped),
        case("cp_streams_tar", ROOT, streams),
        case("cp_never_leaves_the_container", ROOT, hostile),
    ]
}

fn rules() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let dir = world.path("tree");
    std::fs::create_dir_all(dir.join("sub"))?;
    std::fs::write(dir.join("sub/file"), "deep")?;
    std::fs::write(dir.join("top"), "top")?;
    let dir = dir.to_string_lossy().into_owned();
    world.ok(&["cp", &dir, "box:/tmp"])?;
    same(world.ok(&["exec", "box", "cat", "/tmp/tree/sub/file"])?, "deep".to_owned())?;
    world.ok(&["cp", &format!("{dir}/."), "box:/new"])?;
    same(world.ok(&["exec", "box", "cat", "/new/top"])?, "top".to_owned())?;
    world.ok(&["cp", &format!("{dir}/top"), "box:/tmp/renamed"])?;
    same(world.ok(&["exec", "box", "cat", "/tmp/renamed"])?, "top".to_owned())?;
    let out = world.path("out").to_string_lossy().into_owned();
    world.ok(&["cp", "box:/tmp/tree", &out])?;
    same(std::fs::read_to_string(format!("{out}/sub/file"))?, "deep".to_owned())?;
    world.ok(&["cp", "box:/tmp/renamed", &format!("{out}/sub")])?;
    same(std::fs::read_to_string(format!("{out}/sub/renamed"))?, "top".to_owned())?;
    has(&world.fails(1, &["cp", "box:/nope", &out])?, "Could not find the file /nope")?;
    has(&world.fails(1, &["cp", "box:/tmp/tree", &format!("{dir}/top")])?, "cannot copy directory to file")?;
    has(&world.fails(1, &["cp", "/a", "/b"])?, "must specify at least one container source")?;
    has(&world.fails(1, &["cp", "nobox:/a", "/b"])?, "No such container: nobox")
}

fn stopped() -> Outcome {
    let world = World::new()?;
    world.ok(&["create", "--name", "box", "base", "cat", "/etc/added"])?;
    let file = world.path("added");
    std::fs::write(&file, "by cp")?;
    world.ok(&["cp", &file.to_string_lossy(), "box:/etc/added"])?;
    same(world.ok(&["start", "-a", "box"])?, "by cp".to_owned())?;
    let out = world.path("passwd").to_string_lossy().into_owned();
    world.ok(&["cp", "box:/etc/passwd", &out])?;
    has(&std::fs::read_to_string(out)?, "root:")
}

fn streams() -> Outcome {
    let world = World::new()?;
    world.ok(&["run", "-d", "--name", "box", "base", "sleep", "600"])?;
    let output = world.command(&["cp", "box:/etc/passwd", "-"]).output()?;
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let names: Vec<_> =
        archive.entries()?.map(|entry| Ok(entry?.path()?.into_owned())).collect::<std::io::Result<_>>()?;
    same(names, vec![std::path::PathBuf::from("passwd")])?;
    let did = world.with_input(&["cp", "-", "box:/tmp"], &output.stdout)?;
    same((did.code, did.err.as_str()), (0, ""))?;
    has(&world.ok(&["exec", "box", "cat", "/tmp/passwd"])?, "root:")?;
    let did = world.with_input(&["cp", "-", "box:/etc/passwd"], &output.stdout)?;
    same(did.code, 1)
}

fn hostile() -> Outcome {
    let world = World::new()?;
    let host = world.path("host");
    std::fs::create_dir(&host)?;
    let host = host.to_string_lossy().into_owned();
    let script = format!("mkdir -p {host}; ln -s {host} /link; ln -s ../../../../../../..{host} /up; exec sleep 600");
    world.ok(&["run", "-d", "--name", "box", "base", "sh", "-c", &script])?;
    world.until("box", ".State.Running", "true")?;
    let file = world.path("file");
    std::fs::write(&file, "x")?;
    let file = file.to_string_lossy().into_owned();
    crate::world::wait_for("the links", || Ok(world.run(&["exec", "box", "ls", "/up/."])?.code == 0))?;
    world.ok(&["cp", &file, "box:/link/a"])?;
    world.ok(&["cp", &file, "box:/up/b"])?;
    same(world.ok(&["exec", "box", "ls", &host])?, "a\nb".to_owned())?;
    same(std::fs::read_dir(&host)?.count(), 0)?;
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    header.as_gnu_mut().ok_or("no header")?.name[..12].copy_from_slice(b"../../escape");
    header.set_cksum();
    builder.append(&header, &b"x"[..])?;
    let did = world.with_input(&["cp", "-", "box:/tmp"], &builder.into_inner()?)?;
    same(did.code, 1)?;
    has(&did.err, "would leave its folder")?;
    same(exists(std::path::Path::new("/escape")), false)
}
