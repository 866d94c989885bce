//! Keys in the wrong place, and what could not be read.

/// Written, and reported.
pub(super) struct Unusable;

/// Where a key belongs that stands in another place of the design.
pub(super) fn belongs(key: &str) -> Option<String> {
    let help = match key {
        "watermark" => "a watermark belongs to the silver dataset whose rows carry the time",
        "allowed_lateness" | "late" => "write it inside of the silver dataset's `watermark: { column: … }`",
        "drift" => "fields are compared where files come in: write it in the bronze dataset",
        "when" => "bronze takes in whatever arrives: write the condition in the dataset that reads it",
        "freshness" => {
            "arrivals are collected where they come in: write it in the bronze dataset; how old rows may become is `accept: { freshness: … }`"
        }
        "batch" => "arrivals are collected where they come in: write it in the bronze dataset, beside `freshness`",
        "mode" | "order_by" => "how arrivals are taken belongs into the `source` of the bronze dataset",
        _ => return None,
    };
    Some(help.to_owned())
}
