//! Manifests as people write them: YAML with several documents, or JSON, to JSON trees.

use serde_json::Value;

use crate::error::Error;

/// Every document of `text`; empty ones are left out and a `List` stays one document.
///
/// # Errors
/// [`Error::Yaml`] with the line and column where reading stopped.
pub fn documents(text: &str) -> Result<Vec<Value>, Error> {
    if text.trim_start().starts_with('{') {
        return json_documents(text);
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|cause| {
        let location = cause.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
        Error::Yaml { line: location.line(), column: location.column(), problem: first_line(&cause) }
    })?;
    Ok(documents.into_iter().filter(|value| !value.is_null()).collect())
}

fn json_documents(text: &str) -> Result<Vec<Value>, Error> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<_, _>>().map_err(|cause| {
        Error::Yaml { line: cause.line() as u64, column: cause.column() as u64, problem: plain(&cause.to_string()) }
    })
}

/// The objects of `text`: its documents, with every `List` taken apart.
///
/// # Errors
/// As [`documents`].
pub fn objects(text: &str) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for mut document in documents(text)? {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if document["kind"] == "List" => out.extend(items),
            Some(items) => {
                document["items"] = items;
                out.push(document);
            }
            None => out.push(document),
        }
    }
    Ok(out)
}

fn first_line(cause: &serde_saphyr::Error) -> String {
    let text = cause.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    plain(text.lines().next().unwrap_or("malformed"))
}

/// The problem without the place, which has fields of its own.
fn plain(text: &str) -> String {
    let text = text.trim_start_matches("error: ");
    let text = match text.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => text,
    };
    text.rsplit_once(" at line ").map_or(text, |(front, _)| front).to_owned()
}

/// `value` as YAML, keys in the order of the tree.
#[must_use]
pub fn to_text(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn several_documents_and_lists() {
        let text = "# a comment\n---\na: 1\n---\n\n---\nkind: List\nitems: [{b: x}, {c: [true, null, 1.5]}]\n...\n";
        assert_eq!(documents(text).expect("reads").len(), 2);
        let wanted = [json!({"a": 1}), json!({"b": "x"}), json!({"c": [true, null, 1.5]})];
        assert_eq!(objects(text).expect("reads"), wanted);
        assert_eq!(documents("{\"a\": 1}\n{\"b\": 2}").expect("reads").len(), 2);
        assert_eq!(documents("").expect("reads").len(), 0);
    }

    #[test]
    fn words_mean_what_kubectl_takes_them_for() {
        let text = "version: \"1.10\"\nport: 080\nyes: yes\noff: off\nbig: 0x1F\nblock: |\n  a\n  b\nfold: >-\n  a\n  b\n\
            anchor: &x {k: v}\nalias: *x\nempty:\ntilde: ~\n";
        let value = documents(text).expect("reads").remove(0);
        assert_eq!(value["version"], "1.10");
        assert_eq!(value["block"], "a\nb\n");
        assert_eq!(value["fold"], "a b");
        assert_eq!(value["alias"], json!({"k": "v"}));
        assert_eq!((&value["empty"], &value["tilde"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("a: 1\nb: [1, 2\nc: 3\n", 3),
            ("a:\n  b: 1\n c: 2\n", 3),
            ("a: 1\na: 2\n", 2),
            ("a: \"open\n", 2),
            ("a:\n\tb: 1\n", 2),
            ("{\"a\": 1,}", 1),
        ];
        for (text, wanted) in cases {
            match documents(text) {
                Err(Error::Yaml { line, column, problem }) => {
                    assert!(line == wanted && column > 0 && !problem.is_empty(), "{text:?}: {line}:{column} {problem}");
                    assert!(!problem.contains('\n') && !problem.contains(" at line "), "{problem}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in prop::collection::btree_map("[a-z]{1,5}", "\\PC{0,12}", 0..5)) {
            let value: Value = pairs.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
            prop_assert_eq!(documents(&to_text(&value)).expect("reads"), vec![value]);
        }

        #[test]
        fn no_text_panics(text in "[ab:\\-\\[\\]{}&*!|>\n \"']{0,40}") {
            let _ = documents(&text);
        }
    }
}
