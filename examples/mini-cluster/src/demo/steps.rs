//! The demo's steps, in the order of the story. Each one acts as a user would, then watches what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::observe::{LeastServing, Observer, Pod, condition_of};
use super::report::Report;
use super::traffic::{Chapter, Traffic, identity};
use super::victim::kill_nine;
use crate::client::{MERGE_PATCH, STRATEGIC_PATCH};
use crate::error::{Error, Result};
use crate::outside::{Cluster, Order, send_order};
use crate::state::Root;
use crate::{dial, http1};

const WEB: &str = include_str!("../../manifests/web.yaml");
const PAIR: &str = include_str!("../../manifests/pair.yaml");
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const SOON: Duration = Duration::from_secs(20);

/// The cluster, its observer, and the stream of requests once there is a Service.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    root: &'a Root,
    cluster: &'a Cluster,
    observer: Observer,
    service: SocketAddrV4,
    traffic: Option<Traffic>,
}

impl<'a> Stage<'a> {
    /// Images made, pushed and ready to be pulled; nodes Ready.
    pub(super) fn prepare(root: &'a Root, cluster: &'a Cluster, report: &mut Report) -> Result<Self> {
        let observer = Observer::new(root)?;
        let images = cluster.images().publish_demo()?;
        report.held("images made and pushed", images);
        let nodes = observer.eventually("three nodes Ready", SOON, |this| {
            let ready = this.ready_nodes()?;
            Ok((ready.len() == 3).then_some(ready))
        })?;
        report.held("nodes Ready", join(&nodes));
        let service = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80);
        Ok(Self { root, cluster, observer, service, traffic: None })
    }

    /// Applies the pair of Deployment and Service: three pods Ready, one per node; the Service has its address.
    pub(super) fn apply(&mut self, report: &mut Report) -> Result<()> {
        for line in crate::cli::apply_text(&self.observer.client, "manifests/web.yaml", WEB)? {
            println!("      {line}");
        }
        let pods = self.observer.settled(3, SOON)?;
        let nodes: BTreeSet<String> = pods.iter().map(|pod| pod.node.clone()).collect();
        hold(nodes.len() == 3, || format!("three pods spread over three nodes, but they are on {}", join(&nodes)))?;
        report.held("three pods Ready, spread", join(pods.iter().map(|pod| format!("{} on {}", pod.name, pod.node))));
        let path = "/api/v1/namespaces/default/services/web";
        let address = self.observer.eventually("an EXTERNAL-IP", SOON, |this| {
            let service = this.client.get(path)?;
            let ip = service.pointer("/status/loadBalancer/ingress/0/ip").and_then(Value::as_str);
            Ok(ip.and_then(|ip| ip.parse::<Ipv4Addr>().ok()))
        })?;
        self.service = SocketAddrV4::new(address, 80);
        let port =
            self.observer.eventually("a forwarded host port", SOON, |_| Ok(self.cluster.forwarded("default/web")))?;
        let seen = through_host_port(port)?;
        report
            .held("LoadBalancer Service", format!("{} inside, http://127.0.0.1:{port}/ outside: {seen}", self.service));
        self.traffic = Some(Traffic::start(&self.root.dial_socket(), self.service));
        Ok(())
    }

    /// Requests reach all three pods, none much more than another.
    pub(super) fn balance(&mut self, report: &mut Report) -> Result<()> {
        let chapter = self.observer.eventually("300 answers", SOON, |_| {
            let chapter = self.look()?;
            Ok((chapter.good + chapter.failed.len() as u64 >= 300).then_some(chapter))
        })?;
        self.calm(report, "balancing")?;
        let (least, most) = (chapter.by_pod.values().min(), chapter.by_pod.values().max());
        let even = chapter.by_pod.len() == 3 && least.zip(most).is_some_and(|(least, most)| least * 2 >= *most);
        hold(even, || format!("requests balanced over three pods, but: {:?}", chapter.by_pod))?;
        report.held("requests balanced", counts(&chapter.by_pod));
        Ok(())
    }

    /// `kill -9` of a pod's process: restarted, and never a wrong answer.
    pub(super) fn kill_process(&mut self, report: &mut Report) -> Result<()> {
        let pods = self.observer.settled(3, SOON)?;
        let victim = first(&pods)?;
        let begun = Instant::now();
        let pid = kill_nine(self.cluster.inside(), &victim.name)?;
        let restarted = self.observer.eventually("the killed container restarted and Ready", SOON, |this| {
            let pods = this.pods("web")?;
            let same = pods.into_iter().find(|pod| pod.uid == victim.uid);
            Ok(same.filter(|pod| pod.restarts == victim.restarts + 1 && pod.serves()))
        })?;
        let took = begun.elapsed();
        let chapter = self.lossy(report, "kill -9")?;
        report.held(
            "kill -9 of a process",
            format!(
                "process {pid} of {}: restart count {}, Ready again after {:.2} s; {}",
                restarted.name,
                restarted.restarts,
                took.as_secs_f64(),
                losses(&chapter)
            ),
        );
        Ok(())
    }

    /// `delete pod`: another one takes its place, and no request fails.
    pub(super) fn delete_pod(&mut self, report: &mut Report) -> Result<()> {
        let pods = self.observer.settled(3, SOON)?;
        let victim = first(&pods)?;
        self.observer.client.delete(&format!("/api/v1/namespaces/default/pods/{}", victim.name), None)?;
        let after = self.observer.eventually("the deleted pod gone and replaced", SOON, |this| {
            let pods = this.pods("web")?;
            let replaced = pods.len() == 3 && pods.iter().all(|pod| pod.serves() && pod.uid != victim.uid);
            Ok(replaced.then_some(pods))
        })?;
        let fresh = after.iter().find(|pod| pods.iter().all(|old| old.uid != pod.uid));
        let chapter = self.calm(report, "delete pod")?;
        let name = fresh.map(|pod| pod.name.as_str()).unwrap_or_default();
        report.held("delete pod", format!("{} replaced by {name}; {}", victim.name, served(&chapter)));
        Ok(())
    }

    /// A node is switched off: its pods come up on the others; then it comes back.
    pub(super) fn lose_node(&mut self, report: &mut Report) -> Result<()> {
        let pods = self.observer.settled(3, SOON)?;
        let node = first(&pods)?.node.clone();
        let begun = Instant::now();
        send_order(self.root, &Order::Power { node: node.clone(), on: false })?;
        let detected = self.observer.eventually("the lost node NotReady", SOON, |this| {
            Ok((!this.ready_nodes()?.contains(&node)).then(|| begun.elapsed()))
        })?;
        self.observer.eventually("three pods serving on the other nodes", SOON, |this| {
            let pods = this.pods("web")?;
            Ok((pods.iter().filter(|pod| pod.serves() && pod.node != node).count() == 3).then_some(()))
        })?;
        let moved = begun.elapsed();
        let chapter = self.lossy(report, "node loss")?;
        send_order(self.root, &Order::Power { node: node.clone(), on: true })?;
        self.observer
            .eventually("the node Ready again", SOON, |this| Ok(this.ready_nodes()?.contains(&node).then_some(())))?;
        self.observer.settled(3, SOON)?;
        self.calm(report, "node return")?;
        report.held(
            "node switched off",
            format!(
                "{node} NotReady after {:.1} s, three pods on the others after {:.1} s; {}",
                detected.as_secs_f64(),
                moved.as_secs_f64(),
                losses(&chapter)
            ),
        );
        Ok(())
    }

    /// `scale`: more pods, no failed request.
    pub(super) fn scale(&mut self, report: &mut Report, replicas: usize) -> Result<()> {
        let patch = json!({"spec": {"replicas": replicas}});
        self.observer.client.patch(&format!("{DEPLOYMENT}/scale"), MERGE_PATCH, &patch)?;
        let pods = self.observer.settled(replicas, SOON)?;
        self.observer.eventually("every pod answering", SOON, |_| {
            let chapter = self.look()?;
            Ok(pods.iter().all(|pod| chapter.by_pod.contains_key(&pod.name)).then_some(()))
        })?;
        let chapter = self.calm(report, "scaling")?;
        report.held(&format!("scale to {replicas}"), format!("{} pods answer; {}", pods.len(), served(&chapter)));
        Ok(())
    }

    /// `set image`: a rolling update that keeps enough pods ready and fails no request.
    pub(super) fn update(&mut self, report: &mut Report) -> Result<()> {
        let least = LeastServing::follow(self.root)?;
        self.set_image("my-app:1.1.0")?;
        self.observer.eventually("all pods on 1.1.0", 2 * SOON, |this| {
            let pods = this.pods("web")?;
            Ok((pods.len() == 5 && pods.iter().all(|pod| pod.serves() && pod.image == "my-app:1.1.0")).then_some(()))
        })?;
        let least = least.end();
        let chapter = self.calm(report, "the rolling update")?;
        hold(least >= 4, || format!("at least 4 of 5 pods ready during the update, but once only {least}"))?;
        self.only_version("1.1.0")?;
        report.held(
            "rolling update to 1.1.0",
            format!(
                "never below {least} ready pods (4 allowed); {} by version; {}",
                counts(&chapter.by_version),
                served(&chapter)
            ),
        );
        Ok(())
    }

    /// A broken image: the rollout stalls, the old pods serve on, `rollout undo` heals it.
    pub(super) fn broken_image(&mut self, report: &mut Report) -> Result<()> {
        let least = LeastServing::follow(self.root)?;
        self.set_image("my-app:9.9.9")?;
        let message = self.observer.eventually("the rollout given up", SOON, |this| {
            let deployment = this.deployment("web")?;
            let stalled =
                condition_of(&deployment, "Progressing").filter(|c| c["reason"] == "ProgressDeadlineExceeded");
            Ok(stalled.map(|condition| condition["message"].as_str().unwrap_or_default().to_owned()))
        })?;
        let pods = self.observer.pods("web")?;
        let waiting: BTreeSet<String> =
            pods.iter().filter(|pod| !pod.waiting.is_empty()).map(|pod| pod.waiting.clone()).collect();
        crate::cli::undo(&self.observer.client, "web", None)?;
        self.observer.eventually("five pods of 1.1.0 again", SOON, |this| {
            let pods = this.pods("web")?;
            Ok((pods.len() == 5 && pods.iter().all(|pod| pod.serves() && pod.image == "my-app:1.1.0")).then_some(()))
        })?;
        let least = least.end();
        let chapter = self.calm(report, "the broken rollout")?;
        hold(least >= 4, || format!("at least 4 pods serving during the broken rollout, but once only {least}"))?;
        self.only_version("1.1.0")?;
        report.held(
            "broken image, rollout undo",
            format!(
                "{} ({message}); never below {least} serving pods; undo healed it; {}",
                join(&waiting),
                served(&chapter)
            ),
        );
        Ok(())
    }

    /// Two containers in one pod share its network and a volume.
    pub(super) fn pair(&mut self, report: &mut Report) -> Result<()> {
        crate::cli::apply_text(&self.observer.client, "manifests/pair.yaml", PAIR)?;
        let pod = self.observer.eventually("the pod of two containers Ready", SOON, |this| {
            Ok(this.pods("pair")?.into_iter().find(Pod::serves))
        })?;
        let ip =
            pod.ip.parse().map_err(|_| Error::Demo { what: format!("the pod has no address but {:?}", pod.ip) })?;
        let ask = |target: &str| {
            let asked = dial::request(&self.root.dial_socket(), SocketAddrV4::new(ip, 80), "GET", target, SOON);
            asked.map_err(|source| Error::system(format!("ask pod pair for {target}"), source))
        };
        let (peer, note) = (ask("/peer")?, ask("/files/note")?);
        let through = identity(peer.status, &peer.body).map(|(pod, _)| pod).unwrap_or_default();
        hold(through == "the-helper-of-pair", || format!("the helper reached on 127.0.0.1, but: {}", peer.text()))?;
        hold(note.text() == "a note from the-helper-of-pair\n", || format!("the helper's note, but: {}", note.text()))?;
        report.held("two containers, one pod", "127.0.0.1 reaches the neighbour, the volume holds its note");
        Ok(())
    }

    /// Ends the stream of requests.
    pub(super) fn end(&mut self, report: &mut Report) -> Result<()> {
        if let Some(traffic) = self.traffic.take() {
            let last = traffic.stop();
            report.count(&last, false);
            calm(&last, "the end")?;
        }
        Ok(())
    }

    fn set_image(&self, image: &str) -> Result<()> {
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
        self.observer.client.patch(DEPLOYMENT, STRATEGIC_PATCH, &patch).map(drop)
    }

    fn only_version(&self, version: &str) -> Result<()> {
        for _ in 0..10 {
            let answer = dial::request(&self.root.dial_socket(), self.service, "GET", "/", SOON);
            let answer = answer.map_err(|source| Error::system("ask the Service", source))?;
            let seen = identity(answer.status, &answer.body);
            hold(seen.is_some_and(|(_, seen)| seen == version), || format!("only {version}, but: {}", answer.text()))?;
        }
        Ok(())
    }

    fn look(&self) -> Result<Chapter> {
        self.traffic.as_ref().map(Traffic::look).ok_or_else(|| Error::Demo { what: "no traffic".to_owned() })
    }

    /// Ends a chapter in which no request may fail.
    fn calm(&self, report: &mut Report, during: &str) -> Result<Chapter> {
        let chapter = self.chapter();
        report.count(&chapter, false);
        calm(&chapter, during)?;
        Ok(chapter)
    }

    /// Ends a chapter in which requests to a lost endpoint may fail, but no answer may be wrong.
    fn lossy(&self, report: &mut Report, during: &str) -> Result<Chapter> {
        let chapter = self.chapter();
        report.count(&chapter, true);
        hold(chapter.wrong.is_empty(), || {
            format!("no wrong answer during {during}, but: {:?}", chapter.wrong.first())
        })?;
        Ok(chapter)
    }

    fn chapter(&self) -> Chapter {
        self.traffic.as_ref().map(Traffic::mark).unwrap_or_default()
    }
}

fn calm(chapter: &Chapter, during: &str) -> Result<()> {
    hold(chapter.wrong.is_empty(), || format!("no wrong answer during {during}, but: {:?}", chapter.wrong.first()))?;
    hold(chapter.failed.is_empty(), || {
        let (count, first) = (chapter.failed.len(), chapter.failed.first());
        format!("no failed request during {during}, but {count} of {}: {first:?}", chapter.good + count as u64)
    })
}

fn through_host_port(port: u16) -> Result<String> {
    let failed = |source| Error::system(format!("ask http://127.0.0.1:{port}/"), source);
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(failed)?;
    stream.set_read_timeout(Some(SOON)).map_err(failed)?;
    http1::write_request(&mut stream, "GET", "web", "/", &[], false).map_err(failed)?;
    stream.flush().map_err(failed)?;
    let answer = http1::read_response(&mut BufReader::new(stream)).map_err(failed)?;
    let seen = identity(answer.status, &answer.body);
    seen.map(|(pod, version)| format!("{pod} {version}")).ok_or_else(|| Error::Demo { what: answer.text() })
}

fn hold(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Demo { what: what() }) }
}

fn first(pods: &[Pod]) -> Result<&Pod> {
    pods.first().ok_or_else(|| Error::Demo { what: "a pod to begin with".to_owned() })
}

fn losses(chapter: &Chapter) -> String {
    match chapter.failed.iter().map(|(at, _)| *at).max() {
        None => format!("0 of {} requests failed, slowest {} ms", chapter.good, chapter.slowest.as_millis()),
        Some(last) => {
            let all = chapter.good + chapter.failed.len() as u64;
            format!("{} of {all} requests failed, the last {:.2} s after", chapter.failed.len(), last.as_secs_f64())
        }
    }
}

fn served(chapter: &Chapter) -> String {
    format!("0 of {} requests failed, slowest {} ms", chapter.good, chapter.slowest.as_millis())
}

fn counts(map: &BTreeMap<String, u64>) -> String {
    join(map.iter().map(|(name, count)| format!("{name}: {count}")))
}

fn join<T: AsRef<str>>(parts: impl IntoIterator<Item = T>) -> String {
    parts.into_iter().map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}
