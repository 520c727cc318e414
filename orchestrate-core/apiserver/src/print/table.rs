//! The server's `Table` objects as kubectl prints them.

use serde_json::Value;

use crate::resource::Resource;
use crate::value::{int, list, text};

/// How a table is printed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// With the columns of the wide form.
    pub wide: bool,
    /// With a column for the namespace.
    pub with_namespace: bool,
    /// With the kind in front of each name.
    pub with_kind: Option<&'static Resource>,
    /// Without the line of column names.
    pub no_headers: bool,
}

/// Prints tables, one after another in the same columns, as a watch needs it.
#[derive(Debug)]
pub struct TablePrinter {
    style: Style,
    columns: Option<Vec<(usize, String)>>,
    widths: Vec<usize>,
}

impl TablePrinter {
    /// A printer that has printed nothing yet.
    #[must_use]
    pub const fn new(style: Style) -> Self {
        Self { style, columns: None, widths: Vec::new() }
    }

    /// The lines of one more table; the first time with the names of the columns.
    #[must_use]
    pub fn print(&mut self, table: &Value) -> String {
        let mut lines = Vec::new();
        let columns = self.columns.take().unwrap_or_else(|| {
            let columns = self.columns_of(table);
            if !self.style.no_headers {
                lines.push(self.head(&columns));
            }
            columns
        });
        lines.extend(list(table, &["rows"]).iter().map(|row| self.cells(&columns, row)));
        self.columns = Some(columns);
        self.align(&lines)
    }

    fn columns_of(&self, table: &Value) -> Vec<(usize, String)> {
        let definitions = list(table, &["columnDefinitions"]).iter().enumerate();
        let shown = definitions.filter(|(_, column)| self.style.wide || int(column, &["priority"]) == 0);
        shown.map(|(index, column)| (index, text(column, &["name"]).to_uppercase())).collect()
    }

    fn head(&self, columns: &[(usize, String)]) -> Vec<String> {
        let namespace = self.style.with_namespace.then(|| "NAMESPACE".to_owned());
        namespace.into_iter().chain(columns.iter().map(|(_, name)| name.clone())).collect()
    }

    fn cells(&self, columns: &[(usize, String)], row: &Value) -> Vec<String> {
        let namespace = self.style.with_namespace.then(|| text(row, &["object", "metadata", "namespace"]).to_owned());
        let all = list(row, &["cells"]);
        let cells = columns.iter().map(|(index, name)| {
            let cell = match all.get(*index) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => "<none>".to_owned(),
                Some(other) => other.to_string(),
            };
            match self.style.with_kind.filter(|_| name == "NAME") {
                Some(resource) => label(resource, &cell),
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
        let mut out = String::new();
        for line in lines {
            for (index, (cell, width)) in line.iter().zip(&self.widths).enumerate() {
                // kubectl pads every cell but the last, which may leave blanks before an empty one.
                let last = index + 1 == line.len();
                out.push_str(&if last { cell.clone() } else { format!("{cell:width$}   ") });
            }
            out.push('\n');
        }
        out
    }
}

/// `deployment.apps/web`, `pod/web`.
#[must_use]
pub(crate) fn label(resource: &Resource, name: &str) -> String {
    match resource.group {
        "" => format!("{}/{name}", resource.singular),
        group => format!("{}.{group}/{name}", resource.singular),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_stay_aligned_and_wide_ones_are_left_out() {
        let table = json!({
            "columnDefinitions": [{ "name": "Name" }, { "name": "Ready" }, { "name": "IP", "priority": 1 }],
            "rows": [{ "cells": ["web-1", "1/1", "10.1.0.2"] }, { "cells": ["a-longer-name", "0/1", null] }],
        });
        let mut narrow = TablePrinter::new(Style::default());
        assert_eq!(narrow.print(&table), "NAME            READY\nweb-1           1/1\na-longer-name   0/1\n");
        let later = json!({ "rows": [{ "cells": ["x", "1/1", ""] }] });
        assert_eq!(narrow.print(&later), "x               1/1\n");
        let style = Style { wide: true, with_kind: crate::named("pods"), ..Style::default() };
        assert!(TablePrinter::new(style).print(&table).contains("pod/web-1           1/1     10.1.0.2\n"));
    }
}
