//! Vectors of RFC 7386 and RFC 6902, strategic merges, and properties of all of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const POD: &str = "core.v1.Pod";

fn run(kind: PatchKind, base: &Value, change: &Value) -> Result<Value, Refusal> {
    apply(kind, POD, base, change)
}

#[test]
fn rfc_7386_appendix() {
    let cases = [
        (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
        (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
        (json!({"a":"b"}), json!({"a":null}), json!({})),
        (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
        (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
        (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
        (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
        (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
        (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
        (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
        (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
    ];
    for (base, change, wanted) in cases {
        assert_eq!(run(PatchKind::Merge, &base, &change), Ok(wanted), "{base} + {change}");
    }
}

#[test]
fn rfc_6902_appendix() {
    let cases = [
        (json!({"foo":"bar"}), json!([{"op":"add","path":"/baz","value":"qux"}]), json!({"foo":"bar","baz":"qux"})),
        (json!({"foo":[1,3]}), json!([{"op":"add","path":"/foo/1","value":2}]), json!({"foo":[1,2,3]})),
        (json!({"a":1,"b":2}), json!([{"op":"remove","path":"/b"}]), json!({"a":1})),
        (json!({"a":[1,2]}), json!([{"op":"remove","path":"/a/0"}]), json!({"a":[2]})),
        (json!({"a":1}), json!([{"op":"replace","path":"/a","value":2}]), json!({"a":2})),
        (json!({"a":{"b":1},"c":{}}), json!([{"op":"move","from":"/a/b","path":"/c/d"}]), json!({"a":{},"c":{"d":1}})),
        (json!({"a":[1,2]}), json!([{"op":"move","from":"/a/0","path":"/a/1"}]), json!({"a":[2,1]})),
        (json!({"a":1}), json!([{"op":"test","path":"/a","value":1.0}]), json!({"a":1})),
        (json!({"a":[1]}), json!([{"op":"add","path":"/a/-","value":[2]}]), json!({"a":[1,[2]]})),
        (json!({"/":9,"~1":10}), json!([{"op":"test","path":"/~01","value":10}]), json!({"/":9,"~1":10})),
        (json!({"a":1}), json!([{"op":"copy","from":"/a","path":"/b"}]), json!({"a":1,"b":1})),
    ];
    for (base, change, wanted) in cases {
        assert_eq!(run(PatchKind::Json, &base, &change), Ok(wanted), "{base} + {change}");
    }
    let refused = [
        json!([{"op":"add","path":"/x/y","value":1}]),
        json!([{"op":"remove","path":"/nope"}]),
        json!([{"op":"replace","path":"/nope","value":1}]),
        json!([{"op":"test","path":"/a","value":"1"}]),
        json!([{"op":"add","path":"/list/9","value":1}]),
        json!([{"op":"add","path":"/list/01","value":1}]),
        json!([{"op":"move","from":"/a","path":"/a/b"}]),
        json!([{"op":"spam","path":"/a"}]),
        json!([{"op":"add","path":"a","value":1}]),
        json!({}),
    ];
    for change in refused {
        assert!(run(PatchKind::Json, &json!({"a":1,"list":[1]}), &change).is_err(), "{change}");
    }
}

#[test]
fn lists_merge_by_key() {
    let base = json!({"spec":{"containers":[{"name":"a","image":"a:1"},{"name":"b","image":"b:1"}],
        "tolerations":[{"key":"x"}]}});
    let change = json!({"spec":{"containers":[{"name":"b","image":"b:2"},{"name":"c","image":"c:1"}],
        "tolerations":[{"key":"y"}]}});
    let wanted = json!({"spec":{"containers":[{"name":"a","image":"a:1"},{"name":"b","image":"b:2"},
        {"name":"c","image":"c:1"}],"tolerations":[{"key":"y"}]}});
    assert_eq!(run(PatchKind::Strategic, &base, &change), Ok(wanted));
}

#[test]
fn directives_delete_replace_and_order() {
    let base = json!({"metadata":{"finalizers":["a","b"]},
        "spec":{"containers":[{"name":"a"},{"name":"b"}],"volumes":[{"name":"v","emptyDir":{}}]}});
    let change = json!({
        "metadata":{"$deleteFromPrimitiveList/finalizers":["a"]},
        "spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],
            "containers":[{"$patch":"delete","name":"b"},{"name":"c"}],
            "volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}});
    let wanted = json!({"metadata":{"finalizers":["b"]},
        "spec":{"containers":[{"name":"c"},{"name":"a"}],"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}});
    assert_eq!(run(PatchKind::Strategic, &base, &change), Ok(wanted));
    let replace = json!({"spec":{"$patch":"replace","nodeName":"n"}});
    assert_eq!(run(PatchKind::Strategic, &base, &replace).map(|v| v["spec"].clone()), Ok(json!({"nodeName":"n"})));
    let no_key = json!({"spec":{"containers":[{"image":"x"}]}});
    assert!(matches!(run(PatchKind::Strategic, &base, &no_key), Err(Refusal::Malformed(_))));
}

#[test]
fn apply_keeps_what_it_does_not_name() {
    let base = json!({"spec":{"nodeName":"n","containers":[{"name":"a","image":"a:1","command":["x"]}]}});
    let config = json!({"spec":{"containers":[{"name":"a","image":"a:2"},{"name":"b"}]}});
    let wanted =
        json!({"spec":{"nodeName":"n","containers":[{"name":"a","image":"a:2","command":["x"]},{"name":"b"}]}});
    assert_eq!(run(PatchKind::Apply, &base, &config), Ok(wanted));
}

#[test]
fn a_three_way_patch_removes_only_what_was_applied_before() {
    let before = json!({"spec":{"nodeName":"n","containers":[{"name":"a","image":"a:1"},{"name":"b"}]}});
    let wanted = json!({"spec":{"containers":[{"name":"a","image":"a:2"}]}});
    let live = json!({"spec":{"nodeName":"n","dnsPolicy":"Default",
        "containers":[{"name":"a","image":"a:1","tty":false},{"name":"b"},{"name":"sidecar"}]}});
    let patch = three_way(&before, &wanted, &live, type_of(POD));
    let result = run(PatchKind::Strategic, &live, &patch).expect("applies");
    assert_eq!(
        result,
        json!({"spec":{"dnsPolicy":"Default",
        "containers":[{"name":"a","image":"a:2","tty":false},{"name":"sidecar"}]}})
    );
    assert_eq!(three_way(&wanted, &wanted, &result, type_of(POD)), json!({}));
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

/// A tree whose root is an object, as that of every API object.
fn root() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", tree(), 0..4).prop_map(|map| map.into_iter().collect::<Value>())
}

/// The merge patch that turns `from` into `to`.
fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(a), Value::Object(b)) = (from, to) else { return to.clone() };
    let gone = a.keys().filter(|key| !b.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let rest = b.iter().filter(|(key, value)| a.get(*key) != Some(value));
    gone.chain(
        rest.map(|(key, value)| (key.clone(), a.get(key).map_or_else(|| value.clone(), |old| difference(old, value)))),
    )
    .collect()
}

proptest! {
    #[test]
    fn a_difference_merges_to_its_goal(from in root(), to in root()) {
        let change = difference(&from, &to);
        prop_assert_eq!(run(PatchKind::Merge, &from, &change), Ok(to));
    }

    #[test]
    fn merging_twice_changes_nothing_more(base in root(), change in root()) {
        for kind in [PatchKind::Merge, PatchKind::Strategic, PatchKind::Apply] {
            if let Ok(once) = run(kind, &base, &change) {
                prop_assert_eq!(run(kind, &once, &change), Ok(once.clone()));
            }
        }
    }

    #[test]
    fn no_patch_panics(base in tree(), change in tree()) {
        for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic, PatchKind::Apply] {
            let _ = run(kind, &base, &change);
        }
    }
}
