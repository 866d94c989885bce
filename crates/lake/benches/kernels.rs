//! How fast the lake's inner loops are on one core, each by itself: `cargo bench --workspace --bench kernels`.
//!
//! Throughput is in rows, or in bytes where `MB/s` says so. The orders are made up here, of the shape of `bench/gen_orders.py`:
//! 2 % break a rule, 3 % come twice, one in five updates an earlier order.

use alluvium_lake::bench::{
    Binding, Compiled, Options, Refinery, Staged, Stamp, Tally, Vector, Windows, Writes, discover, encode, open,
};
use alluvium_model::{DefinitionVersion, SeededEntropy, Span, StepKey};
use alluvium_spec::{
    CsvOptions, Environment, Format, Language, Project, SchemaFile, Silver, WindowSpec, Write, read_schema_text,
};
use arrow::{
    array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{Schema, SchemaRef},
};
use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Seek, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: usize = 131_072;
const BATCH: usize = 8_192;
const COLUMNS: [&str; 10] = [
    "event_id",
    "order_id",
    "customer_id",
    "status",
    "amount",
    "currency",
    "country",
    "email",
    "created_at",
    "updated_at",
];

fn main() {
    divan::main();
}

type Record = [Option<String>; COLUMNS.len()];

/// Record `n`; equal numbers give equal records.
fn record(n: usize) -> Record {
    // 3 % are the record before them once more.
    let n = if n % 33 == 32 { n - 1 } else { n };
    let mixed = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id = u128::from(mixed) << 64 | u128::from(mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let order = if n % 5 == 4 { n / 2 } else { n };
    let customer = (mixed >> 40) % 500_000;
    let time = |seconds: usize| {
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        format!("2025-07-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", 1 + seconds / 86_400 % 28, mixed % 1000)
    };
    let bad = if n % 50 == 7 { 1 + n / 50 % 4 } else { 0 };
    let status = ["placed", "paid", "shipped", "delivered"][n % 4];
    let (currency, country) = [("USD", "US"), ("EUR", "DE"), ("GBP", "GB"), ("JPY", "JP")][(mixed >> 20) as usize % 4];
    let cents = (mixed >> 30) % 20_000;
    let sign = if bad == 2 { "-" } else { "" };
    [
        Some(format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            id >> 80 & 0xFFFF,
            id >> 64 & 0xFFFF,
            id >> 48 & 0xFFFF,
            id & 0xFFFF_FFFF_FFFF
        )),
        Some(order.to_string()),
        (bad != 3).then(|| customer.to_string()),
        Some(if bad == 1 { "unknown" } else { status }.to_owned()),
        Some(format!("{sign}{}.{:02}", 1 + cents / 100, cents % 100)),
        Some(currency.to_owned()),
        Some(country.to_owned()),
        Some(format!("user{customer}@example.com")),
        Some(if bad == 4 { "2025-02-30T10:00:00.000Z".to_owned() } else { time(order) }),
        Some(time(n)),
    ]
}

fn ndjson() -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0..ROWS {
        let fields = COLUMNS.iter().zip(record(n)).map(|(name, value)| match (*name, value) {
            (_, None) => format!("\"{name}\":null"),
            ("order_id" | "customer_id" | "amount", Some(v)) => format!("\"{name}\":{v}"),
            (_, Some(v)) => format!("\"{name}\":\"{v}\""),
        });
        writeln!(text, "{{{}}}", fields.collect::<Vec<_>>().join(",")).expect("memory takes it");
    }
    text
}

fn csv() -> Vec<u8> {
    let mut text = COLUMNS.join(",").into_bytes();
    for n in 0..ROWS {
        let values: Vec<String> = record(n).into_iter().map(Option::unwrap_or_default).collect();
        write!(text, "\n{}", values.join(",")).expect("memory takes it");
    }
    text
}

fn decode(bencher: Bencher<'_, '_>, format: Format, text: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text).expect("written");
    let from_start = || {
        let mut again: File = file.try_clone().expect("a handle");
        again.rewind().expect("at its start");
        again
    };
    let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
    let options = Options { format, csv: &csv, max_record_bytes: 16 << 20, batch_rows: BATCH, any_case: false };
    let columns: SchemaRef = Arc::new(Schema::new(discover(from_start(), &options).expect("columns")));
    bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(text.len())).bench(|| {
        let mut decoder = open(from_start(), &options, &columns).expect("opens");
        let mut rows = 0;
        while let Some(decoded) = decoder.next().expect("decodes") {
            rows += decoded.batch.num_rows();
        }
        assert_eq!(rows, ROWS);
    });
}

#[divan::bench]
fn decode_ndjson(bencher: Bencher<'_, '_>) {
    decode(bencher, Format::Ndjson, &ndjson());
}

#[divan::bench]
fn decode_csv(bencher: Bencher<'_, '_>) {
    decode(bencher, Format::Csv, &csv());
}

/// Bronze rows as they come from the table, in batches.
static BRONZE: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| {
    let batch = |first: usize| {
        let records: Vec<Record> = (first..first + BATCH).map(record).collect();
        let text = |c: usize| Arc::new(records.iter().map(|r| r[c].as_deref()).collect::<StringArray>()) as ArrayRef;
        let mut columns: Vec<(&str, ArrayRef)> = COLUMNS.iter().enumerate().map(|(c, name)| (*name, text(c))).collect();
        let same = |text: &str| Arc::new(StringArray::from(vec![text; BATCH])) as ArrayRef;
        columns.push(("_event_id", same("5a0d7b5d1a7f4c0e")));
        columns.push(("_object", same("landing/orders/orders-00000.ndjson")));
        columns.push(("_position", Arc::new(Int64Array::from_iter_values((first..first + BATCH).map(|n| n as i64)))));
        let at = TimestampMicrosecondArray::from(vec![1_751_371_200_000_000; BATCH]).with_timezone("UTC");
        columns.push(("_received_at", Arc::new(at)));
        columns.push(("_run_id", same("20250701T120000-00000000")));
        columns.push(("_rescued", Arc::new(StringArray::new_null(BATCH))));
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("one length")
    };
    (0..ROWS / BATCH).map(|b| batch(b * BATCH)).collect()
});

fn load(root: &Path) -> Project {
    alluvium_spec::load(root, &Environment::default()).unwrap_or_else(|e| panic!("{}: {e}", root.display()))
}

/// A project of the repository.
fn project(folder: &str) -> Project {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    load(&root)
}

/// A project whose contract of the orders has these properties and rules.
fn contract(properties: &str, quality: &str) -> Project {
    let root = tempfile::tempdir().expect("a folder");
    let head = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nname: orders\nversion: 1.0.0\nstatus: active\n";
    let table = format!("schema:\n  - name: orders\n    properties: [{properties}]\n    quality: [{quality}]\n");
    let files = [
        ("alluvium.yaml", "name: kernels\n".to_owned()),
        ("datasets/bronze/orders.yaml", "source: { files: landing/ }\n".to_owned()),
        ("datasets/silver/orders.yaml", "from: bronze.orders\ncontract: orders\n".to_owned()),
        ("contracts/orders.odcs.yaml", head.to_owned() + &table),
    ];
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    load(root.path())
}

/// Makes refineries of `silver.orders`, since one that saw rows remembers their unique keys.
fn refineries(project: &Project) -> impl Fn() -> Refinery + use<> {
    let name = "silver.orders".parse().expect("a name");
    let dataset = &project.datasets[&name];
    let (silver, contract) = (dataset.silver().expect("silver"), project.contract_of(dataset).expect("a contract"));
    made(Arc::new(Refinery::compile(silver, contract).expect("compiles")))
}

fn made(compiled: Arc<Compiled>) -> impl Fn() -> Refinery {
    let stamp = Stamp {
        step_key: StepKey::from_stored("step"),
        definition_version: DefinitionVersion::from_stored("version"),
        quarantined_at: "2025-07-02T00:00:00Z".parse().expect("a time"),
    };
    move || {
        let binding = Binding { lookups: BTreeMap::new(), stamp: stamp.clone(), watermark: None };
        Refinery::bind(compiled.clone(), binding, &SeededEntropy::new(7)).expect("binds")
    }
}

/// Casts, rules, and the rows for table and quarantine.
fn refined(refinery: &Refinery, tally: &mut Tally) -> Vec<RecordBatch> {
    BRONZE.iter().map(|b| refinery.refine(b, None, tally).expect("refines").valid).collect()
}

/// `quarantined`: how many of a hundred rows break a rule.
fn refine(bencher: Bencher<'_, '_>, project: &Project, quarantined: std::ops::RangeInclusive<u64>) {
    LazyLock::force(&BRONZE);
    let refinery = refineries(project);
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(refinery).bench_refs(|refinery| {
        let mut tally = Tally::default();
        refined(refinery, &mut tally);
        let in_order = tally.received == tally.valid + tally.quarantined;
        assert!(in_order && quarantined.contains(&(100 * tally.quarantined).div_ceil(ROWS as u64)), "{tally:?}");
    });
}

/// One column read as its type, and no rule beside; `text` is what a column costs that needs no cast.
#[divan::bench(args = ["text", "integer", "number", "decimal", "timestamp"])]
fn refine_cast(bencher: Bencher<'_, '_>, kind: &str) {
    let property = match kind {
        "text" => "{ name: email, logicalType: string }",
        "integer" => "{ name: order_id, logicalType: integer }",
        "number" => "{ name: amount, logicalType: number }",
        "decimal" => "{ name: amount, logicalType: number, physicalType: \"decimal(12, 2)\" }",
        _ => "{ name: updated_at, logicalType: timestamp }",
    };
    refine(bencher, &contract(property, ""), 0..=0);
}

/// One rule over a column of text (`range`: with its cast from text); all rows keep it, but for 3 % that are not unique.
#[divan::bench(args = ["required", "enum", "range", "length", "pattern", "format", "unique", "sql"])]
fn refine_rule(bencher: Bencher<'_, '_>, rule: &str) {
    let property = match rule {
        "required" => "{ name: currency, required: true }",
        "enum" => {
            "{ name: currency, logicalType: string, enum: [{ value: USD }, { value: EUR }, { value: GBP }, { value: JPY }] }"
        }
        "range" => "{ name: order_id, logicalType: integer, logicalTypeOptions: { minimum: 0, maximum: 1000000000 } }",
        "length" => "{ name: country, logicalType: string, logicalTypeOptions: { minLength: 2, maxLength: 2 } }",
        "pattern" => "{ name: email, logicalType: string, logicalTypeOptions: { pattern: \"[^@ ]+@[a-z]+[.]com\" } }",
        "format" => "{ name: email, logicalType: string, logicalTypeOptions: { format: email } }",
        "unique" => "{ name: event_id, logicalType: string, unique: true }",
        _ => "{ name: currency, logicalType: string }, { name: country, logicalType: string }",
    };
    let sql = "{ type: custom, engine: alluvium, id: other, implementation: \"currency <> country\" }";
    let quality = if rule == "sql" { sql } else { "" };
    let repeated = if rule == "unique" { 3..=4 } else { 0..=0 };
    refine(bencher, &contract(property, quality), repeated);
}

/// All ten columns, where so many of a hundred rows leave for the quarantine with a reason.
#[divan::bench(args = [1, 25, 75])]
fn refine_split(bencher: Bencher<'_, '_>, percent: u64) {
    let known = match percent {
        1 => "{ value: placed }, { value: paid }, { value: shipped }, { value: delivered }",
        25 => "{ value: placed }, { value: paid }, { value: shipped }",
        _ => "{ value: placed }",
    };
    let columns = COLUMNS.map(|c| match c {
        "status" => format!("{{ name: status, logicalType: string, enum: [{known}] }}"),
        _ => format!("{{ name: {c}, logicalType: string }}"),
    });
    refine(bencher, &contract(&columns.join(", "), ""), percent..=percent + 1);
}

/// With the hash of an address that the example makes.
#[divan::bench]
fn refine_orders_example(bencher: Bencher<'_, '_>) {
    refine(bencher, &project("examples/orders"), 1..=3);
}

/// The contract that `bench/validate` compares, with its unique key.
#[divan::bench]
fn refine_unique(bencher: Bencher<'_, '_>) {
    refine(bencher, &project("bench/validation/ours"), 4..=6);
}

/// Orders as one object each: an address, two to four lines, tags.
static NESTED: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| {
    let document = |n: usize| {
        let zip = if n % 50 == 7 { "?" } else { "53111" };
        let line = |i: usize| {
            format!(
                "{{\"sku\":\"sku-{}\",\"quantity\":{},\"price\":{}.{:02}}}",
                n % 997,
                1 + (n + i) % 9,
                n % 500,
                i * 7
            )
        };
        let lines: Vec<String> = (0..2 + n % 3).map(line).collect();
        format!(
            "{{\"address\":{{\"zip\":\"{zip}\",\"country\":\"DE\",\"street\":\"Long Street {n}\"}},\"lines\":[{}],\"tags\":[\"new\",\"web\"]}}",
            lines.join(",")
        )
    };
    let batch = |first: usize| {
        let documents = (first..first + BATCH).map(|n| Some(document(n))).collect::<StringArray>();
        let same = |text: &str| Arc::new(StringArray::from(vec![text; BATCH])) as ArrayRef;
        let positions = Int64Array::from_iter_values((first..first + BATCH).map(|n| n as i64));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("doc", Arc::new(documents)),
            ("_event_id", same("5a0d7b5d1a7f4c0e")),
            ("_position", Arc::new(positions)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("one length")
    };
    (0..ROWS / BATCH).map(|b| batch(b * BATCH)).collect()
});

/// With thirteen rules inside, or with none: the difference is what they cost.
#[divan::bench(args = [true, false])]
fn refine_inside(bencher: Bencher<'_, '_>, rules: bool) {
    const INSIDE: &str = ", properties: [
        { name: address, logicalType: object, properties: [
            { name: zip, logicalType: string, required: true, logicalTypeOptions: { pattern: '[0-9]{5}' } },
            { name: country, logicalType: string, enum: [{ value: DE }, { value: AT }] } ] },
        { name: lines, logicalType: array, logicalTypeOptions: { minItems: 1 }, items: { logicalType: object, properties: [
            { name: quantity, logicalType: integer, required: true, logicalTypeOptions: { minimum: 1 } },
            { name: price, logicalType: number, physicalType: 'decimal(10,2)' } ] } }]";
    let contract = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n- name: t\n  properties:\n  - {{ name: doc, logicalType: object{} }}\n",
        if rules { INSIDE } else { "" }
    );
    let read = read_schema_text(Language::Odcs, Path::new("t.odcs.yaml"), &contract);
    let Ok(SchemaFile::Contract(file)) = read else { panic!("{read:?}") };
    let silver = Silver {
        from: "bronze.t".parse().expect("a name"),
        steps: Vec::new(),
        write: Write::Append,
        watermark: None,
        cluster_by: Vec::new(),
    };
    let contract = file.contract.expect("its object is named like the file");
    let refineries = made(Arc::new(Refinery::compile(&silver, &contract).expect("compiles")));
    LazyLock::force(&NESTED);
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(refineries).bench_refs(|refinery| {
        let mut tally = Tally::default();
        for batch in &*NESTED {
            refinery.refine(batch, None, &mut tally).expect("refines");
        }
        assert_eq!(tally.quarantined > 0, rules, "{tally:?}");
    });
}

/// A table's folder and the rows for it.
struct Table {
    _folder: tempfile::TempDir,
    writes: Writes,
    rows: Vec<RecordBatch>,
}

impl Table {
    fn new(keys: &[&str]) -> Self {
        let refinery = refineries(&project("bench/validation/ours"))();
        let rows = refined(&refinery, &mut Tally::default());
        let folder = tempfile::tempdir().expect("a folder");
        let name = "silver.orders".parse().expect("a name");
        let schema = refinery.output_schema();
        let writes = Writes::new(folder.path(), name, schema, keys, &["updated_at", "event_id"]);
        Self { _folder: folder, writes, rows }
    }

    fn count(&self) -> ItemsCount {
        ItemsCount::new(self.rows.iter().map(RecordBatch::num_rows).sum::<usize>())
    }

    fn staged(&self) -> Staged {
        self.writes.stage(&self.rows).expect("stages")
    }
}

/// A whole number is its own key; others are hashed.
#[divan::bench(args = ["order_id", "event_id"])]
fn upsert_encode_keys(bencher: Bencher<'_, '_>, key: &str) {
    let table = Table::new(&[key]);
    bencher
        .counter(table.count())
        .bench(|| table.rows.iter().map(|b| table.writes.encode(b).expect("encodes")).sum::<usize>());
}

/// One row a key, and the key files.
#[divan::bench]
fn upsert_settle(bencher: Bencher<'_, '_>) {
    settle(bencher, false);
}

/// All keys against a file that has them all.
#[divan::bench]
fn upsert_settle_against_stored(bencher: Bencher<'_, '_>) {
    settle(bencher, true);
}

fn settle(bencher: Bencher<'_, '_>, against: bool) {
    let table = Table::new(&["order_id"]);
    let staged = table.staged();
    let stored = against.then(|| table.staged());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let settle = |staged| runtime.block_on(table.writes.settle(staged, stored.as_ref())).expect("settles");
    // Makes the stored rows' key file.
    settle(staged.clone());
    let again = || staged.clone();
    bencher.counter(table.count()).with_inputs(again).bench_local_values(settle);
}

/// One row group: encoded, compressed and durable.
#[divan::bench]
fn write_parquet(bencher: Bencher<'_, '_>) {
    let table = Table::new(&["order_id"]);
    bencher.counter(table.count()).bench(|| table.writes.write(&table.rows).expect("writes"));
}

/// The column that each encoding is chosen for, as silver has it; `received`: as bronze has the last.
#[divan::bench(args = ["dictionary", "delta_binary_packed", "plain", "delta_length_byte_array", "received"])]
fn encode_parquet(bencher: Bencher<'_, '_>, encoding: &str) {
    let texts = |c: usize| Arc::new((0..ROWS).map(|n| record(n)[c].clone()).collect::<StringArray>()) as ArrayRef;
    let (values, name) = match encoding {
        "dictionary" => (texts(3), "RLE_DICTIONARY"),
        "delta_binary_packed" => {
            (Arc::new(Int64Array::from_iter_values(0..ROWS as i64)) as ArrayRef, "DELTA_BINARY_PACKED")
        }
        "plain" => {
            (Arc::new(Float64Array::from_iter_values((0..ROWS).map(|n| (n as f64).sqrt()))) as ArrayRef, "PLAIN")
        }
        _ => (texts(0), "DELTA_LENGTH_BYTE_ARRAY"),
    };
    let dataset = if encoding == "received" { "bronze.orders" } else { "silver.orders" };
    let encoded = || encode(dataset.parse().expect("a name"), &values).expect("encodes");
    let used = encoded().1;
    assert!(used.iter().any(|e| e == name), "{encoding}: {used:?}");
    let bytes = values.to_data().get_slice_memory_size().expect("a size");
    bencher.counter(ItemsCount::new(ROWS)).counter(BytesCount::new(bytes)).bench(|| encoded().0);
}

/// Of a file of a million rows every third one.
fn gone() -> Vector {
    Vector::of((0..1_000_000).step_by(3))
}

#[divan::bench]
fn deletion_vector_write(bencher: Bencher<'_, '_>) {
    let (folder, gone) = (tempfile::tempdir().expect("a folder"), gone());
    bencher.counter(ItemsCount::new(gone.rows())).bench(|| gone.write(folder.path()).expect("writes"));
}

#[divan::bench]
fn deletion_vector_read(bencher: Bencher<'_, '_>) {
    let (folder, gone) = (tempfile::tempdir().expect("a folder"), gone());
    let written = gone.write(folder.path()).expect("writes");
    bencher.counter(ItemsCount::new(gone.rows())).bench(|| written.read(folder.path()).expect("reads"));
}

/// Times of changed rows to the days that they touch.
#[divan::bench]
fn windows_touched(bencher: Bencher<'_, '_>) {
    let changed = times();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| Windows::holding(&changed, &days()).expect("windows").count());
}

/// Times of a table's rows against those days.
#[divan::bench]
fn windows_inside(bencher: Bencher<'_, '_>) {
    let all = times();
    let touched = Windows::holding(&all[..1], &days()).expect("windows");
    let inside = || all.iter().map(|b| touched.inside(b.column(0)).expect("times")).sum::<usize>();
    assert!((1..ROWS).contains(&inside()));
    bencher.counter(ItemsCount::new(ROWS)).bench(inside);
}

fn days() -> WindowSpec {
    WindowSpec { column: "updated_at".to_owned(), size: "1 day".parse::<Span>().expect("a span") }
}

/// A month, in order.
fn times() -> Vec<RecordBatch> {
    let step = 28 * 86_400_000_000 / ROWS as i64;
    let batch = |first: usize| {
        let times = (first..first + BATCH).map(|n| 1_751_328_000_000_000 + n as i64 * step);
        let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
        RecordBatch::try_from_iter([("updated_at", Arc::new(times) as ArrayRef)]).expect("one column")
    };
    (0..ROWS / BATCH).map(|b| batch(b * BATCH)).collect()
}
