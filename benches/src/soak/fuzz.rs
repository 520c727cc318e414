//! Mutated inputs to every parser of untrusted bytes: none may panic.
//!
//! Inputs start from small valid examples and are cut, repeated, flipped and spliced; a failure names target and
//! seed, which replay it. Absent: coverage guidance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use apiserver::{ApiServer, Request};
use container_core::{Launch, Rootfs, Runtime, Spec};

use super::Outcome;
use crate::bundle;
use crate::rounds::Random;

type Parse = Box<dyn Fn(&[u8])>;

struct Target {
    name: &'static str,
    examples: Vec<Vec<u8>>,
    parse: Parse,
}

fn target(name: &'static str, examples: &[&str], parse: impl Fn(&[u8]) + 'static) -> Target {
    Target { name, examples: examples.iter().map(|text| text.as_bytes().to_vec()).collect(), parse: Box::new(parse) }
}

fn text_target(name: &'static str, examples: &[&str], parse: impl Fn(&str) + 'static) -> Target {
    target(name, examples, move |bytes| parse(&String::from_utf8_lossy(bytes)))
}

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"app":"web"}},
 "spec":{"containers":[{"name":"c","image":"i:1","resources":{"requests":{"cpu":"100m","memory":"64Mi"}}}]}}"#;
const YAML: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports: [{port: 80}]\n---\na: &x [1, *x]\n";
const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":["sh"],"User":"1:2"},
 "rootfs":{"type":"layers","diff_ids":["sha256:aa"]},"history":[{"created_by":"x"}]}"#;

fn targets() -> Vec<Target> {
    let mut targets = vec![
        text_target("image reference", &["localhost:5000/a/b:1.0@sha256:00", "docker.io/library/x"], |text| {
            let _ = image_store::Reference::parse(text);
        }),
        target("image config", &[CONFIG], |bytes| {
            let _ = image_store::ImageConfig::from_json(bytes);
        }),
        text_target("yaml", &[YAML, POD], |text| {
            let _ = apiserver::yaml::documents(text);
        }),
        text_target("quantity", &["1500m", "12e3Ki", "0.5Gi", "-1"], |text| {
            let _ = text.parse::<orchestrate_core::objects::Quantity>();
        }),
        text_target("resolv.conf", &["nameserver 127.0.0.53\nsearch a b\noptions ndots:5\n"], |text| {
            let _ = container_network::files::host_resolv_conf_path(text);
        }),
        target("container log", &[r#"{"log":"a\n","stream":"stdout","time":"2024-01-02T03:04:05.6Z"}"#], |bytes| {
            let _ = container_core::supervisor::Entry::parse(bytes);
        }),
        text_target("api request", &[POD], api_request),
    ];
    if let Ok(runtime) = Runtime::new() {
        let example = bundle::spec().to_json();
        targets.push(text_target("runtime spec", &[&example], move |text| {
            if let Ok((spec, _)) = Spec::from_json(text) {
                let _ = runtime.plan(&Launch::new(spec, Rootfs::Path("/nowhere".into())));
            }
        }));
    }
    targets
}

fn api_request(text: &str) {
    let Ok(body) = serde_json::from_str(text) else { return };
    let mut api = ApiServer::new(apiserver::Config::default());
    let _ = api.handle(0, &Request::post("/api/v1/namespaces/default/pods", body));
}

/// Cuts, repeats, flips and splices `input` a few times.
fn mutate(random: &mut Random, input: &mut Vec<u8>) {
    for _ in 0..=random.below(6) {
        let at = random.below(input.len());
        match random.below(6) {
            0 => input.truncate(at),
            1 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            2 => input.insert(at, random.number().to_le_bytes()[0]),
            3 => {
                let end = at + random.below(input.len() - at);
                let piece = input[at..end].to_vec();
                let to = random.below(input.len());
                input.splice(to..to, piece);
            }
            4 => {
                let word = [&b"18446744073709551616"[..], b"../../", b"\0", b"{[", b"null", b"-1"][random.below(6)];
                input.splice(at..at, word.iter().copied());
            }
            _ => {
                let end = at + random.below(input.len() - at);
                input.drain(at..end);
            }
        }
    }
}

/// Parses until the deadline.
pub fn run(seed: u64, deadline: Instant) -> Outcome {
    let targets = targets();
    let mut outcome = Outcome::default();
    // The panics are the finding; their texts would only hide it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    while Instant::now() < deadline {
        let case = seed.wrapping_add(outcome.count).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = Random::new(case);
        let target = &targets[random.below(targets.len())];
        let mut input = target.examples[random.below(target.examples.len())].clone();
        mutate(&mut random, &mut input);
        if catch_unwind(AssertUnwindSafe(|| (target.parse)(&input))).is_err() {
            let shown = String::from_utf8_lossy(&input).chars().take(200).collect::<String>();
            outcome.failures.push(format!("{} panicked, case {case}: {shown:?}", target.name));
        }
        outcome.count += 1;
    }
    std::panic::set_hook(hook);
    outcome
}
