//! What happens when people get it wrong: one line that names subject, step and cause, and nothing left behind.

use test_lane::Outcome;

use crate::support::Cluster;

pub(crate) fn malformed_yaml_names_line_and_column() -> Outcome {
    let cluster = Cluster::up()?;
    let said = cluster.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: x\nspec: }\n")?;
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    let one_line = error.lines().count() == 1;
    if said.status.success()
        || !one_line
        || !error.contains("manifest.yaml")
        || !error.contains("line ")
        || !error.contains("column ")
    {
        return Err(format!("no line and column: {error:?}").into());
    }
    Ok(())
}

pub(crate) fn unknown_fields_are_warned_about() -> Outcome {
    let cluster = Cluster::up()?;
    let said = cluster
        .apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\nspec: {colour: blue}\n")?;
    let error = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() || !error.contains("Warning: unknown field \"spec\"") {
        return Err(format!("no warning as kubectl gives it: {error:?}").into());
    }
    Ok(())
}

pub(crate) fn an_unschedulable_pod_says_why_per_node() -> Outcome {
    let cluster = Cluster::up()?;
    cluster.apply(&pod("huge", "base:latest", "resources: {requests: {cpu: 1k}}"))?;
    cluster.eventually(
        &["describe", "pod", "huge"],
        &["FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."],
    )?;
    cluster.eventually(&["get", "pods"], &["huge", "Pending"]).map(drop)
}

pub(crate) fn a_broken_image_is_told_in_the_status() -> Outcome {
    let cluster = Cluster::up()?;
    cluster.apply(&pod("nothing", "127.0.0.1:1/no-such-image:1", ""))?;
    cluster.eventually(&["describe", "pod", "nothing"], &["Failed to pull image", "127.0.0.1:1/no-such-image:1"])?;
    cluster.apply(&pod("no-command", "base:latest", "command: [/no/such/program]"))?;
    cluster.eventually(&["describe", "pod", "no-command"], &["/no/such/program", "executable file not found"]).map(drop)
}

pub(crate) fn without_a_cluster_commands_say_so() -> Outcome {
    let folder = Cluster::folder()?;
    for args in [&["get", "pods"][..], &["down"], &["logs", "x"], &["delete", "pod", "x"]] {
        let said = folder.refused(args)?;
        if said.lines().count() != 1 || !said.contains("no cluster is running in") {
            return Err(format!("{args:?}: {said:?}").into());
        }
    }
    if folder.root().exists() {
        return Err("a command that found no cluster made its folder".into());
    }
    Ok(())
}

fn pod(name: &str, image: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         containers:\n  - name: main\n    image: {image}\n    {more}\n"
    )
}
