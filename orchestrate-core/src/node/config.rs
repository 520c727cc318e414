//! What a container is started with: command, arguments and environment, with every reference resolved.

use std::collections::BTreeMap;

use super::files::decode_base64;
use crate::objects::{
    Container, EnvFromSource, EnvVar, Pod, Protocol, Quantity, ResourceFieldSelector, Service, ServiceType,
};
use crate::{Error, World};

/// A container's start configuration. Empty `command` and `args` mean the image's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Replaces the image's entry point.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Variables in order; later ones were allowed to refer to earlier ones.
    pub env: Vec<(String, String)>,
}

/// The addresses that a pod may ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses<'a> {
    /// The pod's own.
    pub pod_ip: &'a str,
    /// Its node's.
    pub host_ip: &'a str,
}

/// Resolves what a container is started with.
///
/// # Errors
/// `Unresolved` when something it refers to is missing (shown as `CreateContainerConfigError`).
pub fn container_config(
    pod: &Pod,
    container: &Container,
    world: &World,
    at: Addresses<'_>,
) -> Result<ContainerConfig, Error> {
    let mut env = Variables::default();
    if pod.spec.enable_service_links.unwrap_or(true) {
        let links = world.services.in_namespace(&pod.metadata.namespace);
        links.for_each(|service| service_links(service, &mut env));
    }
    for source in &container.env_from {
        env_from(pod, source, world, &mut env)?;
    }
    for var in &container.env {
        if let Some(value) = value_of(pod, container, var, world, at, &env)? {
            env.set(&var.name, value);
        }
    }
    let expand_all = |texts: &[String]| texts.iter().map(|t| expand(t, &env.values)).collect();
    Ok(ContainerConfig { command: expand_all(&container.command), args: expand_all(&container.args), env: env.list() })
}

#[derive(Default)]
struct Variables {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        if self.values.insert(name.into(), value).is_none() {
            self.order.push(name.into());
        }
    }

    fn list(mut self) -> Vec<(String, String)> {
        let values = &mut self.values;
        self.order.into_iter().filter_map(|name| values.remove(&name).map(|value| (name, value))).collect()
    }
}

/// Replaces `$(NAME)` by its value; unknown names stay, `$$` is a dollar sign.
fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

fn missing(what: String) -> Error {
    Error::Unresolved { what }
}

fn env_from(pod: &Pod, source: &EnvFromSource, world: &World, env: &mut Variables) -> Result<(), Error> {
    let namespace = &pod.metadata.namespace;
    if let Some(reference) = &source.config_map_ref {
        match world.config_maps.get(namespace, &reference.name) {
            Some(map) => map.data.iter().for_each(|(k, v)| env.set(&format!("{}{k}", source.prefix), v.clone())),
            None if reference.optional == Some(true) => {}
            None => return Err(missing(format!("configmap \"{}\" not found", reference.name))),
        }
    }
    if let Some(reference) = &source.secret_ref {
        match world.secrets.get(namespace, &reference.name) {
            Some(secret) => {
                for (k, v) in &secret.data {
                    env.set(&format!("{}{k}", source.prefix), text(v));
                }
            }
            None if reference.optional == Some(true) => {}
            None => return Err(missing(format!("secret \"{}\" not found", reference.name))),
        }
    }
    Ok(())
}

/// The text of a base64 value.
fn text(encoded: &str) -> String {
    String::from_utf8_lossy(&decode_base64(encoded).unwrap_or_default()).into_owned()
}

fn value_of(
    pod: &Pod,
    container: &Container,
    var: &EnvVar,
    world: &World,
    at: Addresses<'_>,
    env: &Variables,
) -> Result<Option<String>, Error> {
    let Some(from) = &var.value_from else { return Ok(Some(expand(&var.value, &env.values))) };
    let namespace = &pod.metadata.namespace;
    if let Some(field) = &from.field_ref {
        return field_value(pod, &field.field_path, at).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return Ok(Some(resource_value(pod, container, resource, world)));
    }
    if let Some(key) = &from.config_map_key_ref {
        let map = world.config_maps.get(namespace, &key.name);
        let value = map.and_then(|m| m.data.get(&key.key));
        return match (value, map) {
            (Some(value), _) => Ok(Some(value.clone())),
            _ if key.optional == Some(true) => Ok(None),
            (None, Some(_)) => {
                Err(missing(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name)))
            }
            (None, None) => Err(missing(format!("configmap \"{}\" not found", key.name))),
        };
    }
    if let Some(key) = &from.secret_key_ref {
        let secret = world.secrets.get(namespace, &key.name);
        let value = secret.and_then(|s| s.data.get(&key.key));
        return match (value, secret) {
            (Some(value), _) => Ok(Some(text(value))),
            _ if key.optional == Some(true) => Ok(None),
            (None, Some(_)) => {
                Err(missing(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)))
            }
            (None, None) => Err(missing(format!("secret \"{}\" not found", key.name))),
        };
    }
    Ok(Some(String::new()))
}

/// A field of the pod by its path.
///
/// # Errors
/// `Unresolved` for a path that there is not.
pub(super) fn field_value(pod: &Pod, path: &str, at: Addresses<'_>) -> Result<String, Error> {
    let meta = &pod.metadata;
    let subscript = |prefix: &str| path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    if let Some(key) = subscript("metadata.labels") {
        return Ok(meta.labels.get(key).cloned().unwrap_or_default());
    }
    if let Some(key) = subscript("metadata.annotations") {
        return Ok(meta.annotations.get(key).cloned().unwrap_or_default());
    }
    let lines = |pairs: &BTreeMap<String, String>| {
        pairs.iter().map(|(k, v)| format!("{k}={v:?}")).collect::<Vec<_>>().join("\n")
    };
    Ok(match path {
        "metadata.name" => meta.name.clone(),
        "metadata.namespace" => meta.namespace.clone(),
        "metadata.uid" => meta.uid.clone(),
        "metadata.labels" => lines(&meta.labels),
        "metadata.annotations" => lines(&meta.annotations),
        "spec.nodeName" => pod.spec.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone(),
        "status.podIP" | "status.podIPs" => at.pod_ip.into(),
        "status.hostIP" | "status.hostIPs" => at.host_ip.into(),
        _ => return Err(missing(format!("unsupported field path \"{path}\""))),
    })
}

/// A request or limit of a container; an unset limit is the node's allocatable amount.
fn resource_value(pod: &Pod, container: &Container, selector: &ResourceFieldSelector, world: &World) -> String {
    let named = pod.spec.containers.iter().find(|c| c.name == selector.container_name);
    let resources = &named.unwrap_or(container).resources;
    let (side, name) = selector.resource.split_once('.').unwrap_or_default();
    let allocatable = || world.nodes.get("", &pod.spec.node_name).and_then(|n| n.status.allocatable.get(name));
    let amount = match side {
        "limits" => resources.limits.get(name).or_else(allocatable),
        _ => resources.requests.get(name),
    };
    let amount = amount.copied().unwrap_or_default();
    let divisor = selector.divisor.filter(|d| !d.is_zero()).unwrap_or(Quantity::new(1));
    let (a, d) = (i128::from(amount.milli()), i128::from(divisor.milli().max(1)));
    ((a + d - 1) / d).to_string()
}

/// The variables that announce a Service, as Docker links once did.
fn service_links(service: &Service, env: &mut Variables) {
    let ip = &service.spec.cluster_ip;
    let Some(first) = service.spec.ports.first() else { return };
    if ip.is_empty() || service.spec.is_headless() || service.spec.kind() == ServiceType::ExternalName {
        return;
    }
    let name = service.metadata.name.to_uppercase().replace('-', "_");
    env.set(&format!("{name}_SERVICE_HOST"), ip.clone());
    env.set(&format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in service.spec.ports.iter().filter(|p| !p.name.is_empty()) {
        let port_name = port.name.to_uppercase().replace('-', "_");
        env.set(&format!("{name}_SERVICE_PORT_{port_name}"), port.port.to_string());
    }
    let url = |port: i32, protocol: Protocol| format!("{}://{ip}:{port}", protocol.as_str().to_lowercase());
    env.set(&format!("{name}_PORT"), url(first.port, first.protocol()));
    for port in &service.spec.ports {
        let prefix = format!("{name}_PORT_{}_{}", port.port, port.protocol());
        env.set(&prefix, url(port.port, port.protocol()));
        env.set(&format!("{prefix}_PROTO"), port.protocol().as_str().to_lowercase());
        env.set(&format!("{prefix}_PORT"), port.port.to_string());
        env.set(&format!("{prefix}_ADDR"), ip.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use crate::{Change, Resource};
    use serde_json::json;

    fn world() -> World {
        let mut world = World::default();
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": {"a": "1"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "d"}, "data": {"p": "aGk="}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "my-web", "namespace": "d"},
                   "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]}}),
        ] {
            world.apply(Change::Set(Object::from_json(object).unwrap()));
        }
        world
    }

    fn config(container: &serde_json::Value) -> Result<ContainerConfig, Error> {
        let json = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "labels": {"x": "y"}},
                          "spec": {"containers": [container], "nodeName": "n1"}});
        let pod = Pod::from_object(Object::from_json(json).unwrap()).unwrap();
        container_config(&pod, &pod.spec.containers[0], &world(), Addresses { pod_ip: "10.0.0.1", host_ip: "" })
    }

    #[test]
    fn everything_is_resolved_in_order() {
        let config = config(&json!({"name": "c", "args": ["$(NAME)", "$$(NAME)", "$(NO)", "$"],
            "envFrom": [{"configMapRef": {"name": "c"}, "prefix": "C_"}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
                {"name": "LATER", "value": "$(NAME)-$(C_a)"},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            ],
            "resources": {"limits": {"cpu": "1500m"}}}))
        .unwrap();
        assert_eq!(config.args, ["p", "$(NAME)", "$(NO)", "$"]);
        let env: Vec<String> = config.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(env[0], "MY_WEB_SERVICE_HOST=10.96.0.7");
        assert_eq!(
            &env[env.len() - 7..],
            ["C_a=1", "NAME=p", "LABEL=y", "IP=10.0.0.1", "SECRET=hi", "LATER=p-1", "CPU=1500"]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (source, want) in [
            (json!({"configMapKeyRef": {"name": "c", "key": "b"}}), "couldn't find key b in ConfigMap d/c"),
            (json!({"secretKeyRef": {"name": "t", "key": "b"}}), "secret \"t\" not found"),
            (json!({"fieldRef": {"fieldPath": "spec.nope"}}), "unsupported field path \"spec.nope\""),
        ] {
            let error = config(&json!({"name": "c", "env": [{"name": "X", "valueFrom": source}]})).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }
}
