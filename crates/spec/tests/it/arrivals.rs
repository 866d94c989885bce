//! How arrivals become batches and steps: `mode`, `batch`, `order_by`.

use crate::folder;
use alluvium_model::ByteSize;
use alluvium_spec::{Batch, Bronze, Environment, IngestMode, OrderBy, Project, load};

const PROJECT: (&str, &str) = ("alluvium.yaml", "name: arrivals\n");

fn project(bronze: &str) -> Result<Project, String> {
    let dir = folder(&[PROJECT, ("landing/keep", ""), ("datasets/bronze/a.yaml", bronze)]);
    load(dir.path(), &Environment::default()).map_err(|d| d.to_string())
}

fn bronze(text: &str) -> Bronze {
    let project = project(text).unwrap_or_else(|e| panic!("{e}"));
    project.datasets[&"bronze.a".parse().expect("a name")].bronze().expect("bronze").clone()
}

#[test]
fn what_is_not_said_is_as_it_was() {
    let b = bronze("source: { files: landing/ }\n");
    assert_eq!((b.mode, b.order_by), (IngestMode::Batch, OrderBy::Arrival));
    assert_eq!(b.batch, Batch { objects: 10_000, size: ByteSize::mib(32) });
}

#[test]
fn each_key_says_one_thing() {
    assert_eq!(bronze("source: { files: landing/, mode: per_object }\n").mode, IngestMode::PerObject);
    let b = bronze("source: { files: landing/, mode: batch }\nfreshness: 1m\nbatch: { objects: 100000 }\n");
    assert_eq!(b.batch, Batch { objects: 100_000, size: ByteSize::mib(32) });
    let b = bronze("source: { http: { types: [a.b], order_by: time } }\nfreshness: 1m\nbatch: { size: 128 MiB }\n");
    assert_eq!((b.order_by, b.batch), (OrderBy::Time, Batch { objects: 10_000, size: ByteSize::mib(128) }));
    let hook = "source: { webhook: { path: /hooks/a, secret: { env: ALLUVIUM_A }, order_by: time } }\n";
    assert_eq!(bronze(hook).order_by, OrderBy::Time);
}

/// They decide when and with what else something is taken in, and none of the rows.
#[test]
fn none_of_them_is_another_definition() {
    let version =
        |text: &str| project(text).unwrap_or_else(|e| panic!("{e}")).datasets.into_values().next().map(|d| d.version);
    let plain = version("source: { files: landing/ }\n");
    assert_eq!(version("source: { files: landing/, mode: per_object }\n"), plain);
    assert_eq!(version("source: { files: landing/ }\nfreshness: 1m\nbatch: { objects: 7 }\n"), plain);
    let pushed = version("source: { http: { types: [a.b] } }\n");
    assert_eq!(version("source: { http: { types: [a.b], order_by: time } }\n"), pushed);
}

#[test]
fn what_contradicts_itself_is_refused_with_the_way_out() {
    let mut wrong = Vec::new();
    for (text, code, part) in [
        ("source: { files: landing/, mode: per_file }\n", "E0010", "known here: per_object, batch"),
        ("source: { files: landing/, order_by: time }\n", "E0007", "order_by"),
        ("source: { http: { types: [a], order_by: tmie } }\n", "E0010", "did you mean `time`?"),
        ("source: { http: { types: [a], mode: per_object } }\n", "E0007", "mode"),
        ("source: { files: landing/ }\nbatch: { objects: 10 }\n", "E0109", "add `freshness"),
        (
            "source: { files: landing/, mode: per_object }\nfreshness: 1m\nbatch: { objects: 10 }\n",
            "E0109",
            "per_object",
        ),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: { objects: 0 }\n", "E0009", "nothing"),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: { size: 0 }\n", "E0009", "nothing"),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: { objects: -1 }\n", "E0", "-1"),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: { size: much }\n", "E0009", "no size"),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: { sizes: 1 MiB }\n", "E0007", "`size`"),
        ("source: { files: landing/ }\nfreshness: 1m\nbatch: 10\n", "E0", "objects"),
        ("source: { http: { types: [a] } }\nfreshness: 1m\nbatch: { objects: 50001 }\n", "E0009", "inbox"),
        ("source: { http: { types: [a] } }\nfreshness: 1m\nbatch: { size: 1 GiB }\n", "E0009", "inbox"),
        ("source: { files: landing/ }\nmode: per_object\n", "E0007", "`source`"),
    ] {
        let said = project(text).expect_err(text);
        if !said.contains(code) || !said.contains(part) {
            wrong.push(format!("{part}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
