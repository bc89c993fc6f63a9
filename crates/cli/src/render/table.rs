//! Aligned columns without borders. The last column is not padded, so that lines end where they end.

use super::painted::Painted;
use super::style::{Paint, Style};

/// The space between two columns.
const GAP: usize = 2;

/// A column's heading, and to which side its cells lean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Left(heading) | Self::Right(heading) => heading,
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Painted>>,
}

impl Table {
    /// A table without rows. Where every heading is empty, there is no line of headings.
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing at its end are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Painted>) {
        self.rows
            .push(cells.into_iter().take(self.columns.len()).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, with `indent` spaces in front.
    pub fn lines(&self, style: Style, indent: usize) -> Vec<String> {
        let headings: Vec<Painted> = self
            .columns
            .iter()
            .map(|column| Painted::new(Paint::Dim, column.heading()))
            .collect();
        let has_headings = headings.iter().any(|heading| heading.width() > 0);
        let rows: Vec<&[Painted]> = has_headings
            .then_some(headings.as_slice())
            .into_iter()
            .chain(self.rows.iter().map(Vec::as_slice))
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| {
                rows.iter()
                    .filter_map(|row| row.get(i))
                    .map(Painted::width)
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        rows.iter()
            .map(|row| self.line(row, &widths, style, indent))
            .collect()
    }

    fn line(&self, row: &[Painted], widths: &[usize], style: Style, indent: usize) -> String {
        let mut line = " ".repeat(indent);
        for (i, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[i] - cell.width());
            let text = cell.render(style);
            match self.columns[i] {
                Column::Left(_) => line += &format!("{text}{padding}"),
                Column::Right(_) => line += &format!("{padding}{text}"),
            }
            line += &" ".repeat(GAP);
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_each_to_its_side() {
        let mut table = Table::new(&[
            Column::Left("NAME"),
            Column::Right("SIZE"),
            Column::Left("WHY"),
        ]);
        table.row(["ä".into(), "5".into(), "short".into()]);
        table.row(["long-name".into(), "1,024".into()]);
        assert_eq!(
            table.lines(Style::PLAIN, 2),
            [
                "  NAME        SIZE  WHY",
                "  ä              5  short",
                "  long-name  1,024"
            ]
        );
    }

    #[test]
    fn colour_does_not_disturb_the_columns() {
        let mut table = Table::new(&[Column::Left(""), Column::Left("")]);
        table.row([Painted::new(Paint::Red, "x"), "1".into()]);
        table.row(["yyy".into(), "2".into()]);
        assert_eq!(
            table.lines(Style::COLOUR, 0),
            ["\x1b[31mx\x1b[0m    1", "yyy  2"]
        );
    }
}
