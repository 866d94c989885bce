//! The runbooks of `docs/runbooks/`, carried in the binary. Their pages of memory are read in when one is asked for.
//!
//! Called by `explain`. `cargo xtask tidy` holds their form: a title, a table with a row for each code, and headings.

#[cfg(test)]
mod tests;

/// By the first code of each.
const PAGES: &[&str] = include!(concat!(env!("OUT_DIR"), "/runbooks.rs"));

/// One code, and the page that it may share with others.
pub struct Runbook {
    pub code: &'static str,
    /// Of a mistake in a definition.
    pub title: Option<&'static str>,
    pub meaning: &'static str,
    pub class: Option<&'static str>,
    pub remedy: &'static str,
    /// The codes of the page, this one too.
    pub together: Vec<&'static str>,
    page: &'static str,
}

impl Runbook {
    /// What stands below each heading, as Markdown.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.page.split("\n## ").skip(1).filter_map(|s| s.split_once('\n')).map(|(h, text)| (h.trim(), text.trim()))
    }
}

/// By page and code.
pub fn all() -> impl Iterator<Item = Runbook> {
    PAGES.iter().copied().flat_map(of_page)
}

pub fn find(code: &str) -> Option<Runbook> {
    all().find(|r| r.code.eq_ignore_ascii_case(code))
}

fn of_page(page: &'static str) -> Vec<Runbook> {
    let mut table = page.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|')).map(cells);
    let columns = table.next().unwrap_or_default();
    let rows: Vec<Vec<&'static str>> = table.skip(1).collect();
    let together: Vec<&'static str> = rows.iter().filter_map(|r| r.first().copied()).collect();
    let of_row = |row: &Vec<&'static str>| {
        let get = |name| columns.iter().position(|c| *c == name).and_then(|i| row.get(i).copied());
        Some(Runbook {
            code: get("code")?,
            title: get("title"),
            meaning: get("meaning")?,
            class: get("class"),
            remedy: get("remedy")?,
            together: together.clone(),
            page,
        })
    };
    rows.iter().filter_map(of_row).collect()
}

fn cells(row: &'static str) -> Vec<&'static str> {
    let inner = row.trim().trim_start_matches("| ").trim_end_matches(" |");
    inner.split(" | ").enumerate().map(|(n, c)| if n == 0 { c.trim_matches('`') } else { c }).collect()
}
