//! Columns of text, aligned.

use super::Style;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Between columns.
const GAP: &str = "  ";

#[derive(Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        Self { columns: columns.into_iter().map(|(name, align)| (name.into(), align)).collect(), rows: Vec::new() }
    }

    /// One cell a column; cells must hold no control characters.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Without the columns of which `needless` is true for every cell; the first column always stays.
    pub fn without(mut self, names: &[&str], needless: impl Fn(&str) -> bool) -> Self {
        for i in (1..self.columns.len()).rev() {
            if names.contains(&self.columns[i].0.as_str()) && self.rows.iter().all(|r| needless(&r[i])) {
                self.columns.remove(i);
                self.rows.iter_mut().for_each(|r| drop(r.remove(i)));
            }
        }
        self
    }

    /// Width of each column in characters.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.chars().count()).collect();
        for row in &self.rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.chars().count());
            }
        }
        widths
    }

    pub fn header(&self, widths: &[usize], style: Style) -> String {
        let cells: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let line = self.line(&cells, widths);
        format!("{}\n", style.bold(line.trim_end()))
    }

    pub fn body(&self, widths: &[usize]) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            out.push_str(self.line(&cells, widths).trim_end());
            out.push('\n');
        }
        out
    }

    /// Header and rows.
    pub fn text(&self, style: Style) -> String {
        let widths = self.widths();
        self.header(&widths, style) + &self.body(&widths)
    }

    fn line(&self, cells: &[&str], widths: &[usize]) -> String {
        let mut out = String::new();
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                out.push_str(GAP);
            }
            let width = widths[i];
            match self.columns[i].1 {
                Align::Left => out.push_str(&format!("{cell:<width$}")),
                Align::Right => out.push_str(&format!("{cell:>width$}")),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_needless_ones_left_out() {
        let mut t = Table::new([("name", Align::Left), ("rows", Align::Right), ("late", Align::Right)]);
        t.row(vec!["a".into(), "1,000".into(), "0".into()]);
        t.row(vec!["längere".into(), "2".into(), "0".into()]);
        let t = t.without(&["late"], |c| c == "0");
        assert_eq!(t.text(Style::PLAIN), "name      rows\na        1,000\nlängere      2\n");
    }
}
