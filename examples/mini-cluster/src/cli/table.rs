//! Prints the API's Table objects as kubectl does: capitals, three spaces between columns, wide columns on request.

use serde_json::Value;

use super::kinds::Kind;

/// Remembers column names and widths, so that a watch goes on in the same columns.
#[derive(Debug)]
pub(super) struct Printer {
    wide: bool,
    with_namespace: bool,
    prefix: Option<Kind>,
    columns: Option<Vec<(usize, String)>>,
    widths: Vec<usize>,
}

impl Printer {
    pub(super) fn new(wide: bool, with_namespace: bool, prefix: Option<Kind>) -> Self {
        Self { wide, with_namespace, prefix, columns: None, widths: Vec::new() }
    }

    /// The lines for one more table; the first time with the head.
    pub(super) fn print(&mut self, table: &Value) -> String {
        let mut lines = Vec::new();
        if self.columns.is_none() {
            let columns = self.columns_of(table);
            lines.push(self.head(&columns));
            self.columns = Some(columns);
        }
        let columns = self.columns.clone().unwrap_or_default();
        lines.extend(rows(table).iter().map(|row| self.cells(&columns, row)));
        self.align(&lines)
    }

    fn columns_of(&self, table: &Value) -> Vec<(usize, String)> {
        let definitions = table.get("columnDefinitions").and_then(Value::as_array);
        let shown = definitions
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, column)| self.wide || column.get("priority").and_then(Value::as_i64).unwrap_or(0) == 0);
        shown.map(|(at, column)| (at, column["name"].as_str().unwrap_or_default().to_uppercase())).collect()
    }

    fn head(&self, columns: &[(usize, String)]) -> Vec<String> {
        let namespace = self.with_namespace.then(|| "NAMESPACE".to_owned());
        namespace.into_iter().chain(columns.iter().map(|(_, name)| name.clone())).collect()
    }

    fn cells(&self, columns: &[(usize, String)], row: &Value) -> Vec<String> {
        let namespace = row.pointer("/object/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        let namespace = self.with_namespace.then(|| namespace.to_owned());
        let cells = columns.iter().map(|(at, name)| {
            let cell = match row.get("cells").and_then(|cells| cells.get(*at)) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => "<none>".to_owned(),
                Some(other) => other.to_string(),
            };
            match self.prefix.filter(|_| name == "NAME") {
                Some(kind) => super::kinds::label(kind, &cell),
                None => cell,
            }
        });
        namespace.into_iter().chain(cells).collect()
    }

    fn align(&mut self, lines: &[Vec<String>]) -> String {
        for line in lines {
            self.widths.resize(self.widths.len().max(line.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for line in lines {
            let cells = line.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// The rows of a table.
pub(super) fn rows(table: &Value) -> &[Value] {
    table.get("rows").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_wide_ones_left_out() {
        let table = json!({
            "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Ready"}, {"name": "IP", "priority": 1}],
            "rows": [{"cells": ["web-1", "1/1", "10.1.0.2"]}, {"cells": ["a-longer-name", "0/1", null]}],
        });
        let narrow = Printer::new(false, false, None).print(&table);
        assert_eq!(narrow, "NAME            READY\nweb-1           1/1\na-longer-name   0/1\n");
        let wide = Printer::new(true, false, super::super::kinds::kind("pods").ok()).print(&table);
        assert!(wide.contains("pod/web-1           1/1     10.1.0.2\n"), "{wide}");
        assert!(wide.contains("<none>"), "{wide}");
    }
}
