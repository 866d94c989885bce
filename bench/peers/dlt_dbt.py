"""dlt for the loading (files to Arrow to DuckDB), dbt with dbt-duckdb for all that follows; the models are in orders_dbt/.

dlt keeps which files it has loaded; dbt's models are incremental by the load's id. dbt runs even if nothing was loaded, as
a scheduled job would have it: a run that failed after a load is made good that way.
"""

from common import *
import shutil, subprocess

DATABASE, LANDING, KEPT = f"{WORK}/db.duckdb", f"{WORK}/landing", f"{WORK}/dlt"
os.environ |= {
    "DLT_DATA_DIR": KEPT,
    "DLT_PROJECT_DIR": WORK,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__WORKERS": "1",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "ORDERS_DATABASE": DATABASE,
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}
os.makedirs(LANDING, exist_ok=True)
for file in FILES:
    place = f"{LANDING}/{os.path.basename(file)}"
    if not os.path.exists(place):
        try:
            os.link(file, place)
        except OSError:
            shutil.copy2(file, place)
S = Stages()
with S("start"):
    import dlt, pyarrow as pa, pyarrow.json
    from dlt.sources.filesystem import filesystem
TEXT = pa.string()
SCHEMA = pa.schema(
    [
        ("event_id", TEXT),
        ("order_id", pa.int64()),
        ("customer_id", pa.int64()),
        ("status", TEXT),
        ("amount", pa.float64()),
        ("currency", TEXT),
        ("country", TEXT),
        ("email", TEXT),
        ("created_at", TEXT),
        ("updated_at", TEXT),
    ]
)
PARSE = pa.json.ParseOptions(explicit_schema=SCHEMA)


@dlt.transformer
def events(items):
    for item in items:
        rows = pa.json.read_json(item.local_file_path, parse_options=PARSE)
        yield rows.append_column("_source_file", pa.repeat(item["file_name"], len(rows)))


with S("bronze"):
    arrivals = filesystem(f"file://{LANDING}", file_glob="*", incremental=dlt.sources.incremental("modification_date"))
    orders = (arrivals | events()).with_name("orders")
    # Left to itself, dlt takes text that looks like a time for one, and fails on the first that is none.
    orders.apply_hints(write_disposition="append", columns={c: {"data_type": "text"} for c in ("created_at", "updated_at")})
    pipeline = dlt.pipeline("orders", pipelines_dir=KEPT, destination=dlt.destinations.duckdb(DATABASE), dataset_name="raw")
    pipeline.run(orders, loader_file_format="parquet")
with S("dbt"):
    models = os.path.join(os.path.dirname(os.path.abspath(__file__)), "orders_dbt")
    command = [os.path.join(os.path.dirname(sys.executable), "dbt"), "run", "--quiet", "--project-dir", models]
    command += ["--profiles-dir", models, "--target-path", f"{WORK}/target", "--log-path", f"{WORK}/logs"]
    subprocess.run(command, check=True)
S.done()
