"""DuckDB as the SQL engine over Arrow, delta-rs for ACID Delta tables."""

from common import *
import duckdb, pyarrow as pa
from deltalake import DeltaTable, write_deltalake

S = Stages()
P = {t: f"{WORK}/{t}" for t in ("bronze", "quarantine", "silver", "gold_revenue", "gold_top")}
c = duckdb.connect()
c.execute("set preserve_insertion_order=false; set TimeZone='UTC'")
arrow = lambda q: c.sql(q).to_arrow_reader(100_000)
# DeltaTable.to_pyarrow_dataset() breaks after a merge (file stats become string_view: pyarrow has no kernel), and the
# delta extension cannot be had offline for DuckDB 2.0: read the snapshot's live files instead
files = lambda t: "read_parquet([" + ",".join(f"'{u}'" for u in DeltaTable(P[t]).file_uris()) + "])"
with S("plan"):
    done = set()
    if DeltaTable.is_deltatable(P["bronze"]):
        done = {r[0] for r in c.execute(f"select distinct _source_file from {files('bronze')}").fetchall()}
    todo = [f for f in FILES if f not in done]
if not todo:
    S.done()
    sys.exit()
with S("bronze"):
    cols = "{event_id:'varchar',order_id:'bigint',customer_id:'bigint',status:'varchar',amount:'double',currency:'varchar',country:'varchar',email:'varchar',created_at:'varchar',updated_at:'varchar'}"
    c.execute(
        f"create table b as select *, now() as _ingested_at from read_json(?, format='newline_delimited', columns={cols}, filename='_source_file')",
        [todo],
    )
    write_deltalake(P["bronze"], arrow("select * from b"), mode="append")
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
    c.execute(
        f"""create table v as select *, concat_ws(';', {r}) as _reasons from
      (select *, try_strptime(created_at, '%Y-%m-%dT%H:%M:%S.%gZ') as _c, try_strptime(updated_at, '%Y-%m-%dT%H:%M:%S.%gZ') as _u from b)"""
    )
    write_deltalake(P["quarantine"], arrow("select * exclude (_c, _u) from v where _reasons <> ''"), mode="append")
with S("silver"):
    src = arrow(
        """select event_id, order_id, customer_id, status, amount::decimal(12,2) amount, currency, country, sha256(email) email_sha256,
      _c::timestamptz as created_at, _u::timestamptz as updated_at from v where _reasons = '' qualify row_number() over (partition by order_id order by _u desc, event_id desc) = 1"""
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
    s = files("silver")
    write_deltalake(
        P["gold_revenue"],
        arrow(f"""select created_at::timestamp::date as day, country, currency, sum(amount) revenue, count(*) orders
      from {s} where status not in ('cancelled','refunded') group by all"""),
        mode="overwrite",
    )
    write_deltalake(
        P["gold_top"],
        arrow(f"""select customer_id, currency, sum(amount) revenue, count(*) orders from {s}
      where status not in ('cancelled','refunded') group by all order by revenue desc, customer_id limit 100"""),
        mode="overwrite",
    )
S.done()
