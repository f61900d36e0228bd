use std::fmt;

/// A table in Markdown, aligned so that it can be read as it is.
///
/// ```
/// use axiomatic_sim::Table;
///
/// let mut table = Table::new(["policy", "served"]);
/// table.row(["none", "12 %"]);
/// table.row(["breaker", "80 %"]);
/// let text = "\
/// | policy  | served |
/// |---------|-------:|
/// | none    |   12 % |
/// | breaker |   80 % |
/// ";
/// assert_eq!(table.to_string(), text);
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    columns: usize,
    text_columns: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings. The first column is text and stands to
    /// the left, the others are numbers and stand to the right.
    pub fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        let headings: Vec<String> = headings.into_iter().map(Into::into).collect();
        Table {
            columns: headings.len(),
            text_columns: 1,
            rows: vec![headings],
        }
    }

    /// So many of the first columns are text.
    #[must_use]
    pub const fn with_text_columns(mut self, columns: usize) -> Self {
        self.text_columns = columns;
        self
    }

    /// One more row; cells that are missing are empty, and those that have no
    /// heading are left out.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Self {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns, String::new());
        self.rows.push(row);
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(2)
        };
        let widths: Vec<usize> = (0..self.columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column < self.text_columns {
                    write!(f, "| {cell:<width$} ")?;
                } else {
                    write!(f, "| {cell:>width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let end = if column < self.text_columns { '-' } else { ':' };
                    write!(f, "|{}{end}", "-".repeat(width + 1))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}
