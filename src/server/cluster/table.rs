//! Columns for people.

/// Lines of left-aligned columns under a heading, as wide as they must be.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(heading[column].len())
    });
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    let lines: Vec<String> = std::iter::once(line(heading)).chain(lines).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["1", "", "long enough"], ["200", "b", ""]].map(|row| row.map(str::to_owned));
        let expected = "ID   B  THE LAST\n1       long enough\n200  b";
        assert_eq!(table(["ID", "B", "THE LAST"], &rows), expected);
    }
}
