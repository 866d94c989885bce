"""Spark in one process of all cores, with plain Parquet: Delta's jars are in no package of PyPI.

Without a table format, silver is written anew and a small file names the folder that counts; appends are not atomic.
"""

from common import *
import shutil

S = Stages()
with S("start"):
    from pyspark.sql import SparkSession, functions as F

    settings = {
        "spark.driver.memory": "8g",
        "spark.sql.shuffle.partitions": 2 * (os.cpu_count() or 1),
        "spark.sql.session.timeZone": "UTC",
        "spark.local.dir": f"{WORK}/spill",
        "spark.sql.warehouse.dir": f"{WORK}/warehouse",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[*]").appName("orders")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
table = lambda t: spark.read.parquet(f"{WORK}/{t}")
with S("plan"):
    done = set()
    if os.path.exists(f"{WORK}/bronze"):
        done = {row[0] for row in table("bronze").select("_source_file").distinct().collect()}
    todo = [f for f in FILES if os.path.basename(f) not in done]
if not todo:
    S.done()
    spark.stop()
    sys.exit()
FIELDS = {c: "string" for c in ("event_id", "order_id", "customer_id", "status", "amount", "currency", "country", "email")}
FIELDS |= {"order_id": "bigint", "customer_id": "bigint", "amount": "double", "created_at": "string", "updated_at": "string"}
with S("bronze"):
    received = spark.read.schema(", ".join(f"{c} {t}" for c, t in FIELDS.items())).json(todo)
    received = received.select("*", F.col("_metadata.file_name").alias("_source_file"), F.current_timestamp().alias("_ingested_at"))
    received.write.mode("append").parquet(f"{WORK}/bronze")
with S("validate"):
    new = table("bronze").where(F.col("_source_file").isin([os.path.basename(f) for f in todo]))
    time_of = lambda c: F.try_to_timestamp(c, F.lit("yyyy-MM-dd'T'HH:mm:ss.SSSX"))
    new = new.withColumns(
        {
            "_created": time_of(F.col("created_at")),
            "_updated": time_of(F.col("updated_at")),
            "amount": F.col("amount").cast("decimal(12,2)"),
        }
    )
    broken = {f"missing:{c}": F.col(c).isNull() for c in FIELDS} | {
        "enum:status": ~F.col("status").isin(SRC_STATUS),
        "enum:currency": ~F.col("currency").isin(CURRENCIES),
        "range:amount": F.col("amount") < 0,
        "type:created_at": F.col("created_at").isNotNull() & F.col("_created").isNull(),
        "type:updated_at": F.col("updated_at").isNotNull() & F.col("_updated").isNull(),
    }
    reasons = F.concat_ws(";", *(F.when(is_so, F.lit(reason)) for reason, is_so in broken.items()))
    new = new.withColumn("_reasons", reasons).persist()
    new.where("_reasons <> ''").drop("_created", "_updated").write.mode("append").parquet(f"{WORK}/quarantine")
with S("silver"):
    kept = ["event_id", "customer_id", "status", "amount", "currency", "country", "email_sha256", "created_at", "updated_at"]
    state = (
        new.where("_reasons = ''")
        .withColumns(
            {"email_sha256": F.sha2("email", 256), "created_at": F.col("_created"), "updated_at": F.col("_updated")}
        )
        .select("order_id", *kept)
    )
    pointer = f"{WORK}/silver.current"
    before = open(pointer).read() if os.path.exists(pointer) else None
    if before:
        state = table(before).unionByName(state)
    latest = F.max_by(F.struct(*kept), F.struct("updated_at", "event_id")).alias("latest")
    after = f"silver-{int(before.split('-')[1]) + 1 if before else 1}"
    state.groupBy("order_id").agg(latest).select("order_id", "latest.*").write.mode("overwrite").parquet(f"{WORK}/{after}")
    with open(pointer + ".new", "w") as f:
        f.write(after)
    os.replace(pointer + ".new", pointer)
    if before:
        shutil.rmtree(f"{WORK}/{before}")
with S("gold"):
    sold = table(after).where(~F.col("status").isin("cancelled", "refunded"))
    figures = [F.sum("amount").alias("revenue"), F.count("*").alias("orders")]
    by_day = sold.groupBy(F.to_date("created_at").alias("day"), "country", "currency").agg(*figures)
    best = sold.groupBy("customer_id", "currency").agg(*figures).orderBy(F.desc("revenue"), "customer_id").limit(100)
    for name, rows in {"gold_revenue": by_day, "gold_top": best}.items():
        rows.coalesce(1).write.mode("overwrite").parquet(f"{WORK}/{name}")
S.done()
spark.stop()
