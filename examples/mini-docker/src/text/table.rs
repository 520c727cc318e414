//! Tables as Docker prints them: columns at least ten wide, three spaces apart, the last one ragged.

const LEAST: usize = 10;
const GAP: usize = 3;

/// Prints `rows` below `header`.
#[must_use]
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&title| title.to_owned()).collect();
    lines(std::iter::once(&header).chain(rows))
}

/// Prints lines of cells in columns.
#[must_use]
pub fn lines<'a>(rows: impl Iterator<Item = &'a Vec<String>> + Clone) -> String {
    let columns = rows.clone().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let widest = rows.clone().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            (widest.unwrap_or(0) + GAP).max(LEAST)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if column + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[column].saturating_sub(cell.chars().count())));
            }
        }
        out.push('\n');
    }
    out
}

/// Cuts a text to `length` characters, the last one an ellipsis.
#[must_use]
pub fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_as_dockers_do() {
        let rows = vec![vec!["base".into(), "latest".into(), "12MB".into()], vec!["x".into(), "1".into(), "1B".into()]];
        let expected = "REPOSITORY   TAG       SIZE\nbase         latest    12MB\nx            1         1B\n";
        assert_eq!(render(&["REPOSITORY", "TAG", "SIZE"], &rows), expected);
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(ellipsis("sleep infinity and more", 20), "sleep infinity and …");
        assert_eq!(ellipsis("short", 20), "short");
    }
}
