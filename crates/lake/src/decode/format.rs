//! Which format a landing object has, by its name. Where the source declares one, that counts and nobody asks here.

use alluvium_spec::Format;

/// The format that a file's name tells, without the ending of its compression; CSV where it tells none.
pub fn format_of(path: &str) -> Format {
    let lower = path.to_ascii_lowercase();
    let name = [".gz", ".zst", ".zstd", ".gzip"].iter().find_map(|z| lower.strip_suffix(z)).unwrap_or(&lower);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("tsv" | "tab") => Format::Tsv,
        Some("ndjson" | "jsonl" | "json") => Format::Ndjson,
        Some("parquet" | "pq") => Format::Parquet,
        _ => Format::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_before_the_compression_tells() {
        assert_eq!(format_of("a/b.csv.gz"), Format::Csv);
        assert_eq!(format_of("b.TSV"), Format::Tsv);
        assert_eq!(format_of("b.jsonl.zst"), Format::Ndjson);
        assert_eq!(format_of("b.parquet"), Format::Parquet);
        assert_eq!(format_of("b"), Format::Csv);
    }
}
