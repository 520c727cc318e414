//! `demo`: the classic examples with real containers, each effect observed from outside, summed up at the end.
//!
//! Effects are seen in two ways only: real HTTP requests to the Service's stable address, sent all the time by
//! [`traffic`], and the objects' status, read through the API by [`observe`]. Nothing is taken from the insides of the
//! cluster. The first step that does not hold ends the demo with exit status 1; the cluster is tidied in any case.

mod observe;
mod report;
mod steps;
mod traces;
mod traffic;
mod victim;

use std::time::Duration;

use crate::cli::Demo;
use crate::error::{PathContext, Result};
use crate::outside::{Cluster, Options};
use crate::state::Root;
use report::Report;
use steps::Stage;
use traces::Traces;

/// How long a silent node is believed in the demo; upstream's 40 s would be a long wait.
const NODE_GRACE: Duration = Duration::from_secs(2);

/// Runs the demo in a folder of its own, or in the one that was asked for.
pub(crate) fn run(root: Option<Root>, demo: &Demo) -> Result<()> {
    let root = match root {
        Some(root) => root,
        None => own_folder()?,
    };
    println!("mini-cluster demo: one process, three nodes, real containers, state in {}\n", root.dir().display());
    let options = Options { nodes: 3, node_grace: Some(NODE_GRACE), remove_root: true };
    let mut report = Report::new();
    let cluster = Cluster::start(&root, &options)?;
    tell(&mut report, &root, &cluster, demo)?;
    if demo.keep {
        report.summary();
        println!();
        crate::cli::welcome(&root, options.nodes);
        println!("Ctrl-C ends it and removes everything.");
        return cluster.wait();
    }
    let traces = Traces::of(&root, cluster.inside());
    cluster.stop()?;
    report.held("everything tidied", traces.gone()?);
    report.summary();
    Ok(())
}

fn tell(report: &mut Report, root: &Root, cluster: &Cluster, demo: &Demo) -> Result<()> {
    let mut stage = Stage::prepare(root, cluster, report)?;
    stage.apply(report)?;
    stage.balance(report)?;
    stage.kill_process(report)?;
    stage.delete_pod(report)?;
    if !demo.quick {
        stage.lose_node(report)?;
    }
    stage.scale(report, 5)?;
    stage.update(report)?;
    if !demo.quick {
        stage.broken_image(report)?;
    }
    stage.pair(report)?;
    stage.end(report)
}

fn own_folder() -> Result<Root> {
    let dir = std::env::temp_dir().join(format!("mini-cluster-demo-{}", std::process::id()));
    // Made here and not by `ensure`: a folder that exists already belongs to someone else.
    std::fs::create_dir(&dir).at("create", &dir)?;
    Root::choose(Some(&dir))
}
