//! The small part of Go's templates that `--format` is used for.
//!
//! Text, `{{.Field.Inner}}`, `{{json .Field}}`, `{{index .Map "key"}}`, `{{len .List}}` and the escapes `\t` and
//! `\n`. Absent on purpose: pipelines, conditions and loops; they are refused with a sentence.

use serde_json::Value;

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Path),
    Json(Path),
    Len(Path),
}

type Path = Vec<String>;

impl Template {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// One clause that names the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let end = rest[start..].find("}}").ok_or("template parsing error: unclosed action")?;
            parts.push(action(rest[start + 2..start + end].trim_matches(['-', ' ']))?);
            rest = &rest[start + end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills in the fields of `value`.
    ///
    /// # Errors
    /// One clause that names a field that there is not.
    pub fn render(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(path) => out.push_str(&plain(look_up(value, path)?)),
                Part::Json(path) => out.push_str(&look_up(value, path)?.to_string()),
                Part::Len(path) => out.push_str(&length(look_up(value, path)?).to_string()),
            }
        }
        Ok(out)
    }

    /// The names of the fields, as the header of a table.
    #[must_use]
    pub fn header(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Field(path) | Part::Json(path) | Part::Len(path) => {
                    path.last().map(|name| title(name)).unwrap_or_default()
                }
            })
            .collect()
    }
}

fn title(name: &str) -> String {
    match name {
        "ID" => "CONTAINER ID".to_owned(),
        "CreatedSince" | "RunningFor" => "CREATED".to_owned(),
        name => name.to_uppercase(),
    }
}

fn action(text: &str) -> Result<Part, String> {
    if let Some(rest) = text.strip_prefix("json ") {
        return Ok(Part::Json(path(rest)?));
    }
    if let Some(rest) = text.strip_prefix("len ") {
        return Ok(Part::Len(path(rest)?));
    }
    if let Some(rest) = text.strip_prefix("index ") {
        let mut words = rest.split_whitespace();
        let mut full = path(words.next().unwrap_or_default())?;
        full.extend(words.map(|word| word.trim_matches('"').to_owned()));
        return Ok(Part::Field(full));
    }
    path(text).map(Part::Field)
}

fn path(text: &str) -> Result<Path, String> {
    let fields = text.trim().strip_prefix('.').ok_or_else(|| unsupported(text))?;
    if fields.contains(|c: char| c.is_whitespace() || matches!(c, '|' | '(' | '$')) {
        return Err(unsupported(text));
    }
    Ok(fields.split('.').filter(|field| !field.is_empty()).map(str::to_owned).collect())
}

fn unsupported(text: &str) -> String {
    format!("template parsing error: `{{{{{text}}}}}` is not supported: use .Field, json, index or len")
}

fn look_up<'a>(value: &'a Value, path: &[String]) -> Result<&'a Value, String> {
    let mut at = value;
    for field in path {
        at = match at {
            Value::Array(list) => field.parse::<usize>().ok().and_then(|index| list.get(index)),
            _ => at.get(field),
        }
        .ok_or_else(|| format!("template: can't evaluate field {field}"))?;
    }
    Ok(at)
}

fn length(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => text.len(),
        _ => 0,
    }
}

/// As Go prints a value: lists in brackets, maps with `map[…]`, nothing as `<no value>`.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_json_index_and_len() {
        let value = json!({"State": {"Running": true}, "Labels": {"a.b": "c"}, "List": [1, 2]});
        let filled = |text| Template::parse(text).unwrap().render(&value).unwrap();
        assert_eq!(filled("x={{.State.Running}}\\n"), "x=true\n");
        assert_eq!(filled("{{json .State}}"), r#"{"Running":true}"#);
        assert_eq!(filled("{{ index .Labels \"a.b\" }}"), "c");
        assert_eq!(filled("{{len .List}} {{.List}} {{.Labels}}"), "2 [1 2] map[a.b:c]");
    }

    #[test]
    fn refused_with_a_sentence() {
        assert!(Template::parse("{{range .List}}").unwrap_err().contains("not supported"));
        assert!(Template::parse("{{.X").is_err());
        let missing = Template::parse("{{.Nope}}").unwrap().render(&json!({})).unwrap_err();
        assert_eq!(missing, "template: can't evaluate field Nope");
    }
}
