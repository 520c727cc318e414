//! Where a pod may run: node affinity, taints and tolerations, spreading.
#![allow(missing_docs, reason = "fields and words are the Kubernetes API's own, documented there")]

use super::meta::Labels;
use super::selector::LabelSelector;
use super::wire::{wire, words};
use crate::Time;

wire! {
    /// Which nodes and which neighbours a pod demands or prefers.
    Affinity {
        node_affinity: Option<NodeAffinity>,
        pod_affinity: Option<PodAffinity>,
        pod_anti_affinity: Option<PodAffinity>,
    }
    NodeAffinity {
        required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
        preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm>,
    }
    /// Any one of the terms.
    NodeSelector {} + always {
        node_selector_terms: Vec<NodeSelectorTerm>,
    }
    /// All of the demands; a term without any demand means no node.
    NodeSelectorTerm {
        match_expressions: Vec<NodeRequirement>,
        match_fields: Vec<NodeRequirement>,
    }
    NodeRequirement {
        values: Vec<String>,
    } + always {
        key: String,
        operator: NodeOperator,
    }
    PreferredSchedulingTerm {} + always {
        weight: i32,
        preference: NodeSelectorTerm,
    }
    PodAffinity {
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm>,
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm>,
    }
    PodAffinityTerm {
        label_selector: Option<LabelSelector>,
        namespaces: Vec<String>,
        namespace_selector: Option<LabelSelector>,
    } + always {
        topology_key: String,
    }
    WeightedPodAffinityTerm {} + always {
        weight: i32,
        pod_affinity_term: PodAffinityTerm,
    }
    /// A taint that the pod puts up with.
    Toleration {
        key: String,
        operator: Option<TolerationOperator>,
        value: String,
        effect: Option<TaintEffect>,
        toleration_seconds: Option<i64>,
    }
    /// A mark on a node that keeps pods away.
    Taint {
        value: String,
        time_added: Option<Time>,
    } + always {
        key: String,
        effect: TaintEffect,
    }
    TopologySpreadConstraint {
        label_selector: Option<LabelSelector>,
        min_domains: Option<i32>,
        match_label_keys: Vec<String>,
        node_affinity_policy: Option<String>,
        node_taints_policy: Option<String>,
    } + always {
        max_skew: i32,
        topology_key: String,
        when_unsatisfiable: WhenUnsatisfiable,
    }
}

words! {
    #[derive(Default)]
    NodeOperator {
        #[default]
        In = "In",
        NotIn = "NotIn",
        Exists = "Exists",
        DoesNotExist = "DoesNotExist",
        Gt = "Gt",
        Lt = "Lt",
    }
    TolerationOperator { Equal = "Equal", Exists = "Exists" }
    #[derive(Default)]
    TaintEffect {
        #[default]
        NoSchedule = "NoSchedule",
        PreferNoSchedule = "PreferNoSchedule",
        NoExecute = "NoExecute",
    }
    #[derive(Default)]
    WhenUnsatisfiable {
        #[default]
        DoNotSchedule = "DoNotSchedule",
        ScheduleAnyway = "ScheduleAnyway",
    }
}

impl Toleration {
    /// Says whether this toleration covers the taint: an empty key with `Exists` covers all, no effect covers each.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let exists = self.operator == Some(TolerationOperator::Exists);
        self.effect.is_none_or(|e| e == taint.effect)
            && if self.key.is_empty() { exists } else { self.key == taint.key && (exists || self.value == taint.value) }
    }
}

impl Taint {
    /// Makes a taint without a value.
    pub fn new(key: &str, effect: TaintEffect) -> Self {
        Self { key: key.into(), effect, ..Self::default() }
    }
}

impl NodeRequirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
        let wanted = || number(self.values.first().map(String::as_str));
        match self.operator {
            NodeOperator::In => value.is_some_and(|v| self.values.iter().any(|w| w == v)),
            NodeOperator::NotIn => value.is_none_or(|v| self.values.iter().all(|w| w != v)),
            NodeOperator::Exists => value.is_some(),
            NodeOperator::DoesNotExist => value.is_none(),
            NodeOperator::Gt => number(value).zip(wanted()).is_some_and(|(have, than)| have > than),
            NodeOperator::Lt => number(value).zip(wanted()).is_some_and(|(have, than)| have < than),
        }
    }
}

impl NodeSelectorTerm {
    /// Says whether a node of this name and these labels meets every demand.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        let empty = self.match_expressions.is_empty() && self.match_fields.is_empty();
        !empty
            && self.match_expressions.iter().all(|e| e.matches(labels.get(&e.key).map(String::as_str)))
            && self.match_fields.iter().all(|e| e.matches((e.key == "metadata.name").then_some(name)))
    }
}

impl NodeSelector {
    /// Says whether any term matches.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.node_selector_terms.iter().any(|t| t.matches(name, labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations() {
        let taint = Taint { value: "gpu".into(), ..Taint::new("dedicated", TaintEffect::NoExecute) };
        let t = |key: &str, operator, value: &str, effect| Toleration {
            key: key.into(),
            operator,
            value: value.into(),
            effect,
            ..Toleration::default()
        };
        for (toleration, want) in [
            (t("dedicated", None, "gpu", None), true),
            (t("dedicated", Some(TolerationOperator::Equal), "cpu", None), false),
            (t("dedicated", Some(TolerationOperator::Exists), "", Some(TaintEffect::NoExecute)), true),
            (t("dedicated", Some(TolerationOperator::Exists), "", Some(TaintEffect::NoSchedule)), false),
            (t("", Some(TolerationOperator::Exists), "", None), true),
            (t("", None, "", None), false),
        ] {
            assert_eq!(toleration.tolerates(&taint), want, "{toleration:?}");
        }
    }

    #[test]
    fn node_terms() {
        let labels = Labels::from([("cores".into(), "8".into())]);
        let term = |key: &str, operator, values: &[&str]| NodeSelectorTerm {
            match_expressions: vec![NodeRequirement {
                key: key.into(),
                operator,
                values: values.iter().map(ToString::to_string).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert!(term("cores", NodeOperator::Gt, &["4"]).matches("n1", &labels));
        assert!(!term("cores", NodeOperator::Lt, &["4"]).matches("n1", &labels));
        assert!(term("zone", NodeOperator::NotIn, &["a"]).matches("n1", &labels));
        assert!(!NodeSelectorTerm::default().matches("n1", &labels));
    }
}
