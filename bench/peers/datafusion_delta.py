"""DataFusion (Python) for SQL, delta-rs for ACID Delta tables."""

from common import *
import pyarrow as pa
from datafusion import SessionContext, SessionConfig
from deltalake import DeltaTable, write_deltalake

S = Stages()
P = {t: f"{WORK}/{t}" for t in ("bronze", "quarantine", "silver", "gold_revenue", "gold_top")}
ctx = SessionContext(SessionConfig().with_target_partitions(2))


def reg(name, path):
    try:
        ctx.deregister_table(name)
    except Exception:
        pass
    ctx.register_table(name, DeltaTable(path))  # FFI table provider


with S("plan"):
    done = set()
    if DeltaTable.is_deltatable(P["bronze"]):
        reg("bz", P["bronze"])
        done = set(ctx.sql("select distinct _source_file f from bz").to_pydict()["f"])
    todo = [f for f in FILES if f not in done]
if not todo:
    S.done()
    sys.exit()
with S("bronze"):
    sch = pa.schema(
        [
            ("event_id", pa.string()),
            ("order_id", pa.int64()),
            ("customer_id", pa.int64()),
            ("status", pa.string()),
            ("amount", pa.float64()),
            ("currency", pa.string()),
            ("country", pa.string()),
            ("email", pa.string()),
            ("created_at", pa.string()),
            ("updated_at", pa.string()),
        ]
    )
    parts = []
    for i, f in enumerate(todo):  # datafusion-python has no file-name column: one table per file, union all
        ctx.register_json(f"j{i}", f, schema=sch, file_extension=".ndjson")
        parts.append(f"select *, '{f}' as _source_file, now() as _ingested_at from j{i}")
    ctx.sql("create table b as " + " union all ".join(parts))
    write_deltalake(P["bronze"], pa.RecordBatchReader.from_stream(ctx.sql("select * from b")), mode="append")
with S("validate"):
    en = lambda l: "(" + ",".join(f"'{x}'" for x in l) + ")"
    req = [
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
    ]
    iso = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T[0-9:.]+Z$"
    r = ",".join(
        [f"case when {x} is null then 'missing:{x}' end" for x in req]
        + [
            f"case when status not in {en(SRC_STATUS)} then 'enum:status' end",
            f"case when currency not in {en(CURRENCIES)} then 'enum:currency' end",
            "case when amount < 0 then 'range:amount' end",
            "case when created_at is not null and _c is null then 'type:created_at' end",
            "case when updated_at is not null and _u is null then 'type:updated_at' end",
        ]
    )
    ctx.sql(f"""create table v as select *, concat_ws(';', {r}) as _reasons from
      (select *, try_cast(created_at as timestamp) as _c, try_cast(updated_at as timestamp) as _u from b)""")
    write_deltalake(
        P["quarantine"],
        pa.RecordBatchReader.from_stream(
            ctx.sql(
                "select event_id, order_id, customer_id, status, amount, currency, country, email, created_at, updated_at, _source_file, _ingested_at, _reasons from v where _reasons <> ''"
            )
        ),
        mode="append",
    )
with S("silver"):
    src = pa.RecordBatchReader.from_stream(
        ctx.sql(
            """select event_id, order_id, customer_id, status, cast(amount as decimal(12,2)) amount, currency, country, encode(sha256(email), 'hex') email_sha256, created_at, updated_at from (
      select event_id, order_id, customer_id, status, amount, currency, country, email, arrow_cast(_c, 'Timestamp(Microsecond, Some("UTC"))') created_at, arrow_cast(_u, 'Timestamp(Microsecond, Some("UTC"))') updated_at,
      row_number() over (partition by order_id order by _u desc, event_id desc) rn from v where _reasons = '') where rn = 1"""
        )
    )
    if not DeltaTable.is_deltatable(P["silver"]):
        write_deltalake(P["silver"], src, mode="error")
    else:
        (
            DeltaTable(P["silver"])
            .merge(src.read_all(), predicate="s.order_id = t.order_id", source_alias="s", target_alias="t")
            .when_matched_update_all(predicate="s.updated_at > t.updated_at")
            .when_not_matched_insert_all()
            .execute()
        )
with S("gold"):
    reg("s", P["silver"])
    write_deltalake(
        P["gold_revenue"],
        pa.RecordBatchReader.from_stream(
            ctx.sql("""select cast(created_at as date) as day, country, currency, sum(amount) revenue, count(*) orders
      from s where status not in ('cancelled','refunded') group by 1,2,3""")
        ),
        mode="overwrite",
    )
    write_deltalake(
        P["gold_top"],
        pa.RecordBatchReader.from_stream(
            ctx.sql("""select customer_id, currency, sum(amount) revenue, count(*) orders from s
      where status not in ('cancelled','refunded') group by 1,2 order by revenue desc, customer_id limit 100""")
        ),
        mode="overwrite",
    )
S.done()
