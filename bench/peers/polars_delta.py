"""Polars (lazy, streaming engine) for the work, delta-rs for ACID Delta tables."""

from common import *
import polars as pl
from deltalake import DeltaTable, write_deltalake
from datetime import datetime, timezone

P = {t: f"{WORK}/{t}" for t in ("bronze", "quarantine", "silver", "gold_revenue", "gold_top")}
S = Stages()
SCHEMA = dict(
    event_id=pl.String,
    order_id=pl.Int64,
    customer_id=pl.Int64,
    status=pl.String,
    amount=pl.Float64,
    currency=pl.String,
    country=pl.String,
    email=pl.String,
    created_at=pl.String,
    updated_at=pl.String,
)
with S("plan"):
    done = set()
    if DeltaTable.is_deltatable(P["bronze"]):
        done = set(pl.scan_delta(P["bronze"]).select("_source_file").unique().collect()["_source_file"])
    todo = [f for f in FILES if f not in done]
if not todo:
    S.done()
    sys.exit()
with S("bronze"):
    lf = (
        pl.scan_ndjson(todo, schema=SCHEMA, include_file_paths="_source_file")
        if FMT == "ndjson"
        else (
            pl.scan_csv(todo, schema=SCHEMA, include_file_paths="_source_file")
            if FMT == "csv"
            else pl.scan_parquet(todo, include_file_paths="_source_file").cast({"amount": pl.Float64})
        )
    )
    lf = lf.with_columns(_ingested_at=pl.lit(datetime.now(timezone.utc)))
    lf.sink_delta(P["bronze"], mode="append")
with S("validate"):
    v0 = DeltaTable(P["bronze"])
    b = pl.scan_delta(v0).filter(pl.col("_source_file").is_in(todo))
    ts = lambda c: pl.col(c).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False, time_unit="us", time_zone="UTC")
    b = b.with_columns(_c=ts("created_at"), _u=ts("updated_at"), amount=pl.col("amount").cast(pl.Decimal(12, 2)))
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
    reasons = pl.concat_list(
        *[pl.when(pl.col(c).is_null()).then(pl.lit(f"missing:{c}")) for c in req],
        pl.when(pl.col("status").is_in(SRC_STATUS).not_()).then(pl.lit("enum:status")),
        pl.when(pl.col("currency").is_in(CURRENCIES).not_()).then(pl.lit("enum:currency")),
        pl.when(pl.col("amount") < 0).then(pl.lit("range:amount")),
        pl.when(pl.col("_c").is_null() & pl.col("created_at").is_not_null()).then(pl.lit("type:created_at")),
        pl.when(pl.col("_u").is_null() & pl.col("updated_at").is_not_null()).then(pl.lit("type:updated_at")),
    ).list.drop_nulls()
    b = b.with_columns(_reasons=reasons).collect(engine="streaming")
    bad = b.filter(pl.col("_reasons").list.len() > 0).drop("_c", "_u")
    good = b.filter(pl.col("_reasons").list.len() == 0)
    write_deltalake(P["quarantine"], bad.with_columns(pl.col("_reasons").list.join(";")), mode="append")
with S("silver"):
    src = (
        good.lazy()
        .unique("event_id", keep="any")
        .select(
            "event_id",
            "order_id",
            "customer_id",
            "status",
            "amount",
            "currency",
            "country",
            created_at="_c",
            updated_at="_u",
            email="email",
        )
        .sort("updated_at", "event_id")
        .unique("order_id", keep="last", maintain_order=False)
    ).collect(engine="streaming")
    import hashlib

    e = src["email"]  # polars has no built-in sha256: unique + hashlib, the usual way
    u = e.unique()
    m = pl.DataFrame({"email": u, "email_sha256": [hashlib.sha256(x.encode()).hexdigest() for x in u]})
    src = src.join(m, on="email", how="left").drop("email")
    if not DeltaTable.is_deltatable(P["silver"]):
        write_deltalake(P["silver"], src, mode="error")
    else:
        (
            DeltaTable(P["silver"])
            .merge(src, predicate="s.order_id = t.order_id", source_alias="s", target_alias="t")
            .when_matched_update_all(predicate="s.updated_at > t.updated_at")
            .when_not_matched_insert_all()
            .execute()
        )
with S("gold"):
    s = pl.scan_delta(P["silver"]).filter(pl.col("status").is_in(["cancelled", "refunded"]).not_())
    g1 = s.group_by(pl.col("created_at").dt.date().alias("day"), "country", "currency").agg(
        revenue=pl.col("amount").sum(), orders=pl.len()
    )
    g2 = (
        s.group_by("customer_id", "currency")
        .agg(revenue=pl.col("amount").sum(), orders=pl.len())
        .sort("revenue", "customer_id", descending=[True, False])
        .head(100)
    )
    g1, g2 = pl.collect_all([g1, g2], engine="streaming")
    write_deltalake(P["gold_revenue"], g1, mode="overwrite")
    write_deltalake(P["gold_top"], g2, mode="overwrite")
S.done()
