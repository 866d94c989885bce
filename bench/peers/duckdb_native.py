"""DuckDB with its own database file: one transaction for a batch, SQL only."""

from common import *
import duckdb

S = Stages()
with S("plan"):
    c = duckdb.connect(f"{WORK}/db.duckdb")
    c.execute("set preserve_insertion_order=false; set TimeZone='UTC'")
    c.execute(
        """create table if not exists bronze(event_id varchar, order_id bigint, customer_id bigint, status varchar, amount double, currency varchar,
      country varchar, email varchar, created_at varchar, updated_at varchar, _source_file varchar, _ingested_at timestamptz);
      create table if not exists files(f varchar primary key, done_at timestamptz);
      create table if not exists quarantine as select *, ''::varchar as _reasons from bronze limit 0;
      create table if not exists silver(event_id varchar, order_id bigint primary key, customer_id bigint, status varchar, amount decimal(12,2), currency varchar,
      country varchar, email_sha256 varchar, created_at timestamp, updated_at timestamp)"""
    )
    done = {r[0] for r in c.execute("select f from files").fetchall()}
    todo = [f for f in FILES if f not in done]
if not todo:
    S.done()
    sys.exit()
c.execute("begin")
with S("bronze"):
    cols = "{event_id:'varchar',order_id:'bigint',customer_id:'bigint',status:'varchar',amount:'double',currency:'varchar',country:'varchar',email:'varchar',created_at:'varchar',updated_at:'varchar'}"
    rd = (
        f"read_json(?, format='newline_delimited', columns={cols}, filename='_source_file')"
        if FMT == "ndjson"
        else (
            f"read_csv(?, header=true, columns={cols}, filename='_source_file')"
            if FMT == "csv"
            else "read_parquet(?, filename='_source_file')"
        )
    )
    c.execute(f"create temp table b as select *, now() as _ingested_at from {rd}", [todo])
    c.execute("insert into bronze select * from b")
    c.execute("insert into files select unnest(?), now()", [todo])
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
        f"""create temp table v as select *, concat_ws(';', {r}) as _reasons from
      (select *, try_strptime(created_at, '%Y-%m-%dT%H:%M:%S.%gZ') as _c, try_strptime(updated_at, '%Y-%m-%dT%H:%M:%S.%gZ') as _u from b)"""
    )
    c.execute("insert into quarantine select * exclude (_c, _u) from v where _reasons <> ''")
with S("silver"):
    c.execute(
        """create temp table s as select event_id, order_id, customer_id, status, amount::decimal(12,2) amount, currency, country, sha256(email) email_sha256,
      _c as created_at, _u as updated_at from v where _reasons = '' qualify row_number() over (partition by order_id order by _u desc, event_id desc) = 1"""
    )
    if c.execute("select count(*) from silver limit 1").fetchall()[0][0] == 0:
        c.execute("insert into silver select * from s")
    else:
        c.execute(
            """merge into silver t using s on t.order_id = s.order_id when matched and s.updated_at > t.updated_at then update set
      event_id=s.event_id, customer_id=s.customer_id, status=s.status, amount=s.amount, currency=s.currency, country=s.country,
      email_sha256=s.email_sha256, created_at=s.created_at, updated_at=s.updated_at when not matched then insert"""
        )
with S("gold"):
    c.execute(
        """create or replace table gold_revenue as select created_at::date as day, country, currency, sum(amount) revenue, count(*) orders
      from silver where status not in ('cancelled','refunded') group by all"""
    )
    c.execute(
        """create or replace table gold_top as select customer_id, currency, sum(amount) revenue, count(*) orders from silver
      where status not in ('cancelled','refunded') group by all order by revenue desc, customer_id limit 100"""
    )
with S("commit"):
    c.execute("commit")
S.done()
c.close()
