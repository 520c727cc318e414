//! Elastic tabs, as Go's text/tabwriter: tabs end cells, cells of neighbouring lines form columns.

/// Blanks after the widest cell of a column.
const PADDING: usize = 2;

/// Lines whose cells are still to be aligned.
#[derive(Debug, Default)]
pub(super) struct Tabs {
    lines: Vec<Vec<String>>,
    out: String,
}

impl Tabs {
    /// Adds text; tabs end cells, line feeds end lines.
    pub(super) fn write(&mut self, text: &str) {
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 || self.lines.is_empty() {
                self.lines.push(vec![String::new()]);
            }
            for (number, cell) in part.split('\t').enumerate() {
                let Some(line) = self.lines.last_mut() else { continue };
                if number > 0 {
                    line.push(String::new());
                }
                if let Some(last) = line.last_mut() {
                    last.push_str(cell);
                }
            }
        }
    }

    /// Adds a line, `level` steps in.
    pub(super) fn line(&mut self, level: usize, text: &str) {
        self.write(&"  ".repeat(level));
        self.write(text);
        self.write("\n");
    }

    /// Adds a line with a label and a value.
    pub(super) fn pair(&mut self, level: usize, label: &str, value: impl std::fmt::Display) {
        self.line(level, &format!("{label}:\t{value}"));
    }

    /// Ends all columns: what follows is aligned on its own.
    pub(super) fn flush(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        format(&lines, &mut Vec::new(), &mut self.out);
        // A line feed belongs between lines, not after the last, still empty one.
        self.out.pop();
    }

    /// The text with its columns aligned.
    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.out
    }
}

fn has(line: &[String], column: usize) -> bool {
    column + 1 < line.len()
}

fn format(lines: &[Vec<String>], widths: &mut Vec<usize>, out: &mut String) {
    let column = widths.len();
    let mut at = 0;
    while at < lines.len() {
        if !has(&lines[at], column) {
            print(&lines[at], widths, out);
            at += 1;
            continue;
        }
        let length = lines[at..].iter().take_while(|line| has(line, column)).count();
        let block = &lines[at..at + length];
        let width = block.iter().map(|line| line[column].chars().count()).max().unwrap_or(0) + PADDING;
        widths.push(width);
        format(block, widths, out);
        widths.pop();
        at += length;
    }
}

fn print(line: &[String], widths: &[usize], out: &mut String) {
    for (index, cell) in line.iter().enumerate() {
        out.push_str(cell);
        if let Some(width) = widths.get(index) {
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_end_where_a_line_has_no_cell() {
        let mut tabs = Tabs::default();
        tabs.write("Name:\tx\nLonger name:\ty\nplain\n  a\tb\tc\n  aaaa\tbbbb\tc\n");
        let wanted = "Name:         x\nLonger name:  y\nplain\n  a     b     c\n  aaaa  bbbb  c\n";
        assert_eq!(tabs.finish(), wanted);
    }
}
