//! Without privilege: a user namespace of the container's own, or one around the whole program.

use container_core::spec::{IdMapping, Memory, Namespace, Resources};
use container_core::{Container, Error, Exec, Launch, Missing, NamespaceKind, Spec, Stdio};
use test_lane::{Failed, Need, Outcome, Trial, case};

use super::support::{Scratch, finish, holds, id, run_launch, runtime, same, shell};

const USER: &[Need] = &[Need::UserNamespaces, Need::Path("/bin/busybox")];
const ROOT: &[Need] = &[Need::Root, Need::Path("/bin/busybox")];
const ORDINARY: &[Need] = &[Need::OrdinaryUser, Need::UserNamespaces, Need::Path("/bin/busybox")];

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("one_id_in_a_new_user_namespace", USER, single),
        case("a_range_of_ids_in_a_new_user_namespace", ROOT, range),
        case("exec_joins_a_user_namespace", USER, exec),
        case("an_unmapped_user_is_refused", USER, unmapped),
        case("limits_without_groups_are_refused_or_reported", ORDINARY, limits),
    ]
}

fn confined(mut spec: Spec) -> Spec {
    spec.linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    spec
}

fn launch(spec: Spec, scratch: &Scratch) -> Launch {
    Launch::new(confined(spec), scratch.rootfs()).cgroup_parent(super::support::parent())
}

fn single() -> Outcome {
    let scratch = Scratch::new();
    let script = "id -u; id -g; cat /proc/self/uid_map | wc -l; echo x > /dev/null && head -c1 /dev/zero | wc -c; touch /made && \
                  echo made; mount -t tmpfs none /tmp 2>/dev/null || echo denied; grep -c CapEff:.*a80425fb /proc/self/status; \
                  test -d /proc/1 && ls /sys/kernel >/dev/null && echo sys";
    let (status, text) = run_launch(launch(shell(script), &scratch))?;
    same(&text.as_str(), &"0\n0\n1\n1\nmade\ndenied\n1\nsys\n")?;
    holds(status.success(), "it failed")
}

fn range() -> Outcome {
    let scratch = Scratch::new();
    for folder in ["upper", "work"] {
        let path = scratch.upper().with_file_name(folder);
        std::os::unix::fs::chown(path, Some(100_000), Some(100_000))?;
    }
    let parent = scratch.upper().parent().ok_or("no parent")?.to_owned();
    std::fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::set_permissions(super::support::base(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut spec =
        shell("id -u; id -g; touch /tmp/mine 2>/dev/null; cat /proc/self/uid_map | tr -s ' '").user(1000, 1000);
    let map = IdMapping { container_id: 0, host_id: 100_000, size: 65_536 };
    (spec.linux.uid_mappings, spec.linux.gid_mappings) = (vec![map], vec![map]);
    let (_, text) = run_launch(launch(spec, &scratch))?;
    holds(text.starts_with("1000\n1000\n"), text)
}

fn output(container: &Container, exec: Exec) -> Result<String, Failed> {
    let mut process = container.exec(exec.stdout(Stdio::Piped))?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut process.take_stdout().ok_or("no stream")?, &mut text)?;
    process.wait()?;
    Ok(text)
}

fn exec() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]).hostname("inside"), &scratch))?;
    let script = "id -u; hostname; readlink /proc/1/ns/user; readlink /proc/self/ns/user";
    let text = output(&container, Exec::new(["sh", "-c", script]))?;
    let lines: Vec<&str> = text.lines().collect();
    holds(lines.len() == 4 && lines[..2] == ["0", "inside"] && lines[2] == lines[3], text)?;
    container.delete()?;
    Ok(())
}

fn unmapped() -> Outcome {
    let scratch = Scratch::new();
    let outcome = runtime().run(&id(), launch(shell("true").user(1000, 1000), &scratch));
    holds(matches!(outcome, Err(Error::Unsupported { .. })), format!("{outcome:?}"))
}

fn limits() -> Outcome {
    let memory = Memory { limit: Some(64 << 20), ..Memory::default() };
    let limited = || shell("exit 3").resources(Resources { memory: Some(memory.clone()), ..Resources::default() });
    let scratch = Scratch::new();
    let outcome = runtime().run(&id(), launch(limited(), &scratch));
    holds(matches!(outcome, Err(Error::Unsupported { .. })), format!("{outcome:?}"))?;
    let scratch = Scratch::new();
    let mut container = runtime().run(&id(), launch(limited(), &scratch).missing(Missing::Degrade))?;
    same(&container.not_enforced(), &["linux.resources.memory.limit".to_owned()].as_slice())?;
    same(&finish(&mut container)?.0.code(), &3)
}
