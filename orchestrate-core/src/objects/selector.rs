//! Label selectors: which objects a controller or Service means.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use std::fmt;

use super::meta::Labels;
use super::wire::{wire, words};

wire! {
    /// All of `match_labels` and all of `match_expressions`; an empty selector means everything.
    LabelSelector {
        match_labels: Labels,
        match_expressions: Vec<LabelRequirement>,
    }
    /// One demand on a label.
    LabelRequirement {
        values: Vec<String>,
    } + always {
        key: String,
        operator: LabelOperator,
    }
}

words! {
    /// How a label is compared.
    #[derive(Default)]
    LabelOperator {
        #[default]
        In = "In",
        NotIn = "NotIn",
        Exists = "Exists",
        DoesNotExist = "DoesNotExist",
    }
}

impl LabelRequirement {
    /// Says whether these labels meet the demand. `NotIn` is met by a missing label, as upstream.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            LabelOperator::In => value.is_some_and(|v| self.values.contains(v)),
            LabelOperator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl LabelSelector {
    /// Says whether these labels meet every demand.
    pub fn matches(&self, labels: &Labels) -> bool {
        subset(&self.match_labels, labels) && self.match_expressions.iter().all(|e| e.matches(labels))
    }

    /// Says whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

/// Says whether every pair of `wanted` is in `labels`.
pub fn subset(wanted: &Labels, labels: &Labels) -> bool {
    wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.match_labels.iter().map(|(k, v)| format!("{k}={v}"));
        let demands = self.match_expressions.iter().map(|e| match e.operator {
            LabelOperator::In => format!("{} in ({})", e.key, e.values.join(",")),
            LabelOperator::NotIn => format!("{} notin ({})", e.key, e.values.join(",")),
            LabelOperator::Exists => e.key.clone(),
            LabelOperator::DoesNotExist => format!("!{}", e.key),
        });
        let all: Vec<String> = pairs.chain(demands).collect();
        f.write_str(if all.is_empty() { "<none>" } else { "" })?;
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn expressions() {
        let need = |operator, values: &[&str]| LabelRequirement {
            key: "tier".into(),
            operator,
            values: values.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let (web, none) = (labels(&[("tier", "web")]), Labels::new());
        for (requirement, on_web, on_none) in [
            (need(LabelOperator::In, &["web", "db"]), true, false),
            (need(LabelOperator::NotIn, &["web"]), false, true),
            (need(LabelOperator::Exists, &[]), true, false),
            (need(LabelOperator::DoesNotExist, &[]), false, true),
        ] {
            assert_eq!(requirement.matches(&web), on_web, "{requirement:?}");
            assert_eq!(requirement.matches(&none), on_none, "{requirement:?}");
        }
        assert!(LabelSelector::default().matches(&web));
        assert_eq!(LabelSelector::default().to_string(), "<none>");
    }
}
