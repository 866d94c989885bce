"""Sail (a Spark Connect server in Rust, in this process) with Delta tables and MERGE INTO."""

from common import *

S = Stages()
with S("start"):
    from pysail.spark import SparkConnectServer

    srv = SparkConnectServer("127.0.0.1", 0)
    srv.start(background=True)
    from pyspark.sql import SparkSession, functions as F

    sp = SparkSession.builder.remote(f"sc://127.0.0.1:{srv.listening_address[1]}").getOrCreate()
    sp.conf.set("spark.sql.session.timeZone", "UTC")
    sp.range(1).count()
D = lambda t: sp.read.format("delta").load(f"{WORK}/{t}")
ex = lambda t: os.path.exists(f"{WORK}/{t}/_delta_log")
SC = "event_id string, order_id bigint, customer_id bigint, status string, amount double, currency string, country string, email string, created_at string, updated_at string"
with S("plan"):
    done = (
        {r[0].split("/")[-1] for r in D("bronze").select("_source_file").distinct().collect()}
        if ex("bronze")
        else set()
    )
    todo = [f for f in FILES if os.path.basename(f) not in done]
if not todo:
    S.done()
    sys.exit()
with S("bronze"):
    # One table a file, for its name; joined as a tree, since the client does not take a plan a thousand deep.
    parts = [sp.read.schema(SC).json(f).withColumn("_source_file", F.lit(f)) for f in todo]
    while len(parts) > 1:
        pairs = [a.unionByName(b) for a, b in zip(parts[::2], parts[1::2])]
        parts = pairs + parts[len(pairs) * 2 :]
    df = parts[0]
    df.withColumn("_ingested_at", F.current_timestamp()).write.format("delta").mode("append").save(f"{WORK}/bronze")
with S("validate"):
    b = D("bronze").filter(F.substring_index("_source_file", "/", -1).isin([os.path.basename(f) for f in todo]))
    b = (
        b.withColumn("_c", F.expr("try_cast(created_at as timestamp)"))
        .withColumn("_u", F.expr("try_cast(updated_at as timestamp)"))
        .withColumn("amount", F.col("amount").cast("decimal(12,2)"))
    )
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
    rs = [F.when(F.col(x).isNull(), F.lit("missing:" + x)) for x in req] + [
        F.when(~F.col("status").isin(SRC_STATUS), F.lit("enum:status")),
        F.when(~F.col("currency").isin(CURRENCIES), F.lit("enum:currency")),
        F.when(F.col("amount") < 0, F.lit("range:amount")),
        F.when(F.col("created_at").isNotNull() & F.col("_c").isNull(), F.lit("type:created_at")),
        F.when(F.col("updated_at").isNotNull() & F.col("_u").isNull(), F.lit("type:updated_at")),
    ]
    v = b.withColumn("_reasons", F.concat_ws(";", *rs))
    v.filter("_reasons <> ''").drop("_c", "_u").write.format("delta").mode("append").save(f"{WORK}/quarantine")
with S("silver"):
    n = v.filter("_reasons = ''").select(
        "event_id",
        "order_id",
        "customer_id",
        "status",
        "amount",
        "currency",
        "country",
        F.sha2("email", 256).alias("email_sha256"),
        F.col("_c").alias("created_at"),
        F.col("_u").alias("updated_at"),
    )
    n.createOrReplaceTempView("n")
    n = sp.sql(
        "select event_id, order_id, customer_id, status, amount, currency, country, email_sha256, created_at, updated_at from (select *, row_number() over (partition by order_id order by updated_at desc, event_id desc) rn from n) where rn = 1"
    )
    if not ex("silver"):
        n.write.format("delta").mode("overwrite").save(f"{WORK}/silver")
    else:
        n.createOrReplaceTempView("src")
        sp.sql(f"create table if not exists silver_t using delta location '{WORK}/silver'")
        sp.sql(
            """merge into silver_t t using src s on t.order_id = s.order_id when matched and s.updated_at > t.updated_at then update set * when not matched then insert *"""
        ).collect()
with S("gold"):
    s = D("silver").filter(~F.col("status").isin("cancelled", "refunded"))
    s.groupBy(F.to_date("created_at").alias("day"), "country", "currency").agg(
        F.sum("amount").alias("revenue"), F.count("*").alias("orders")
    ).write.format("delta").mode("overwrite").save(f"{WORK}/gold_revenue")
    s.groupBy("customer_id", "currency").agg(F.sum("amount").alias("revenue"), F.count("*").alias("orders")).orderBy(
        F.desc("revenue"), "customer_id"
    ).limit(100).write.format("delta").mode("overwrite").save(f"{WORK}/gold_top")
S.done()
sp.stop()
