//! The words people type for kinds (`pods`, `po`, `deploy/web`, `svc,pods`) and the API paths they lead to.

use apiserver::Resource;
use serde_json::Value;

use crate::error::{Error, Result};

/// A kind as the API knows it.
pub(crate) type Kind = &'static Resource;

/// What was named on a command line.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) kind: Kind,
    /// One object, or all of the kind.
    pub(crate) name: Option<String>,
}

/// Finds a kind by plural, singular, short name or `kind.group`.
pub(crate) fn kind(word: &str) -> Result<Kind> {
    apiserver::named(word).ok_or_else(|| Error::Input {
        subject: "error".to_owned(),
        problem: format!("the server doesn't have a resource type {word:?}"),
    })
}

/// Reads `pods`, `pods a b`, `pod/a svc/b`, `pods,services`.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Named>> {
    let Some((first, rest)) = words.split_first() else { return Ok(Vec::new()) };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| one(word)).collect();
    }
    let kinds = first.split(',').map(kind).collect::<Result<Vec<Kind>>>()?;
    if rest.is_empty() {
        return Ok(kinds.into_iter().map(|kind| Named { kind, name: None }).collect());
    }
    let pairs = kinds.iter().flat_map(|kind| rest.iter().map(|name| Named { kind, name: Some(name.clone()) }));
    Ok(pairs.collect())
}

/// Reads `kind/name`.
pub(crate) fn one(word: &str) -> Result<Named> {
    match word.split_once('/') {
        Some((kind_word, name)) if !name.is_empty() => {
            Ok(Named { kind: kind(kind_word)?, name: Some(name.to_owned()) })
        }
        _ => Err(Error::Input {
            subject: "error".to_owned(),
            problem: format!("{word:?} must be given as kind/name, such as deployment/web"),
        }),
    }
}

/// The path of a collection.
pub(crate) fn collection(kind: Kind, namespace: &str) -> String {
    kind.collection(if kind.namespaced { namespace } else { "" })
}

/// The path of an object.
pub(crate) fn path(kind: Kind, namespace: &str, name: &str) -> String {
    kind.object(namespace, name)
}

/// How kubectl writes an object: `pod/web-1`, `deployment.apps/web`.
pub(crate) fn label(kind: Kind, name: &str) -> String {
    match kind.group {
        "" => format!("{}/{name}", kind.singular),
        group => format!("{}.{group}/{name}", kind.singular),
    }
}

/// The kind of an object of a manifest.
pub(crate) fn kind_of(object: &Value) -> Result<Kind> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    apiserver::of_kind(version, kind).ok_or_else(|| Error::Input {
        subject: "error".to_owned(),
        problem: match (version, kind) {
            ("", _) => "apiVersion not set".to_owned(),
            (_, "") => "kind not set".to_owned(),
            _ => format!("no matches for kind {kind:?} in version {version:?}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_way_of_naming_leads_to_the_same() {
        for text in ["deploy web", "deployment/web", "deployments.apps web", "Deployment web"] {
            let named = parse(&words(text)).unwrap().remove(0);
            assert_eq!((named.kind.kind, named.name.as_deref()), ("Deployment", Some("web")), "{text}");
        }
        assert_eq!(parse(&words("po,svc")).unwrap().len(), 2);
        assert!(parse(&words("pods web/")).is_err());
        assert!(parse(&words("gadgets")).is_err());
    }

    #[test]
    fn paths_are_the_real_ones() {
        assert_eq!(path(kind("deploy").unwrap(), "default", "web"), "/apis/apps/v1/namespaces/default/deployments/web");
        assert_eq!(path(kind("no").unwrap(), "default", "node-1"), "/api/v1/nodes/node-1");
        assert_eq!(label(kind("deployments").unwrap(), "web"), "deployment.apps/web");
    }
}
