//! The state root under creation, renaming, removal, crashes and reboots.

use super::*;
use crate::supervisor::time::Time;

fn root() -> (tempfile::TempDir, StateRoot) {
    let dir = tempfile::tempdir().unwrap();
    let root = StateRoot::open(&dir.path().join("root")).unwrap();
    (dir, root)
}

fn make(root: &StateRoot, name: &str) -> Result<ContainerDir> {
    let id = id::new_id()?;
    root.create(&mut Definition::new(id, name.to_owned(), serde_json::Value::Null))
}

#[test]
fn found_by_id_name_and_prefix() {
    let (_keep, root) = root();
    let web = make(&root, "web").unwrap();
    for reference in [web.id(), "web", "/web", &web.id()[..12], &web.id()[..3]] {
        assert_eq!(root.find(reference).unwrap().id(), web.id(), "{reference}");
    }
    let error = root.find("nope").unwrap_err().to_string();
    assert_eq!(error, "No such container: nope");
    assert_eq!(root.find("../web").unwrap_err().to_string(), "No such container: ../web");
    assert_eq!(root.ids().unwrap(), [web.id()]);
}

#[test]
fn a_name_has_one_owner() {
    let (_keep, root) = root();
    let web = make(&root, "web").unwrap();
    let error = make(&root, "web").unwrap_err().to_string();
    assert!(error.starts_with("Conflict. The container name \"/web\" is already in use by container \""), "{error}");
    assert!(error.contains(web.id()));
    let other = make(&root, "other").unwrap();
    assert!(root.rename(&other, "web").is_err());
    root.rename(&web, "old").unwrap();
    root.rename(&other, "web").unwrap();
    assert_eq!(root.find("web").unwrap().id(), other.id());
    root.remove(&other).unwrap();
    assert!(make(&root, "web").is_ok());
    assert!(!make(&root, "").unwrap().definition().unwrap().name.is_empty());
}

#[test]
fn many_creators_one_winner() {
    let (_keep, root) = root();
    let winners: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| make(&root, "web").is_ok())).collect();
        tries.into_iter().map(|handle| usize::from(handle.join().unwrap())).sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(root.ids().unwrap().len(), 1);
}

#[test]
fn a_crash_leaves_a_free_name_and_an_emptied_trash() {
    let (_keep, root) = root();
    let id = id::new_id().unwrap();
    root.names().claim("web", &id).unwrap();
    fs::create_dir(root.path().join("trash").join(&id)).unwrap();
    assert!(root.find("web").is_err());
    let web = make(&root, "web").unwrap();
    assert_eq!(root.find("web").unwrap().id(), web.id());
    fs::rename(web.path(), root.path().join("trash").join(web.id())).unwrap();
    root.tidy().unwrap();
    for folder in ["trash", "names"] {
        assert_eq!(fs::read_dir(root.path().join(folder)).unwrap().count(), 0, "{folder}");
    }
    assert!(make(&root, "web").is_ok());
}

#[test]
fn nobody_else_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let (_keep, root) = root();
    let web = make(&root, "web").unwrap();
    for path in [root.path(), web.path()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
}

#[test]
fn after_a_reboot_everything_is_exited() {
    let (_keep, mut root) = root();
    let web = make(&root, "web").unwrap();
    let fresh = make(&root, "fresh").unwrap();
    let mut state = web.state().unwrap();
    state.status = Status::Running;
    state.pid = 42;
    state.started_at = Time::from_unix(1000, 0);
    web.write_state(&state).unwrap();
    assert_eq!(web.state().unwrap(), state);
    root.boot_id = "another".to_owned();
    let after = root.container(web.id()).state().unwrap();
    assert_eq!((after.status, after.exit_code, after.pid), (Status::Exited, 255, 0));
    assert_eq!(root.container(fresh.id()).state().unwrap().status, Status::Created);
}

#[test]
fn the_exit_survives_the_loss_of_the_run_state() {
    let (_keep, root) = root();
    let web = make(&root, "web").unwrap();
    let mut state = web.state().unwrap();
    state.status = Status::Exited;
    state.exit_code = 7;
    web.write_state(&state).unwrap();
    fs::remove_file(web.path().join(STATE)).unwrap();
    let after = web.state().unwrap();
    assert_eq!((after.status, after.exit_code), (Status::Exited, 7));
}

#[test]
fn one_supervisor_at_a_time() {
    let (_keep, root) = root();
    let web = make(&root, "web").unwrap();
    assert!(!web.is_supervised().unwrap());
    let mark = web.become_supervisor().unwrap().unwrap();
    assert!(web.is_supervised().unwrap());
    assert!(web.become_supervisor().unwrap().is_none());
    drop(mark);
    assert!(!web.is_supervised().unwrap());
}
