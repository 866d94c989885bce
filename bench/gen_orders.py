#!/usr/bin/env python3
"""Writes order events, 100,000 a file, as NDJSON, CSV and Parquet. The same seed gives the same bytes.

    gen_orders.py --files 11 --out FOLDER [--seed 42] [--formats ndjson,csv,parquet]

Each file has exactly 77,000 new orders, 20,000 updates of known orders and 3,000 re-deliveries of valid events (half of
them from the file before). Of the 97,000 distinct events 2,000 are invalid, 500 each: a status that is none, a negative
amount, no customer_id, a created_at that is no time. 1,000 are late by 3 to 72 hours; the others are out of order within 2.
An order's attributes are a hash of its number, so an update agrees with the order's first event.

FOLDER/manifest.json holds the exact truth after 1, 2, 5, 10, 11, 50, 51, 200 and 201 files. Needs numpy and pyarrow.
"""

import argparse, json, os
import numpy as np, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

N, NEW, UPD, DUP = 100_000, 77_000, 20_000, 3_000
EV = NEW + UPD
STATUS = np.array(["placed", "paid", "shipped", "delivered", "cancelled", "refunded"])
BADSTATUS = np.array(["PLACED", "unknown", "shiped", ""])
COUNTRY = np.array("US DE GB FR BR JP IN CA AU ES IT NL SE PL MX AR ZA KR TR CH".split())
CURRENCY = np.array("USD EUR GBP EUR BRL JPY INR CAD AUD EUR EUR EUR SEK PLN MXN ARS ZAR KRW TRY CHF".split())
BADDATE = np.array(["not-a-date", "2025-02-30T10:00:00.000Z", "2025-13-01T00:00:00.000Z", "31/12/2025 10:00"])
CW = np.array([30, 10, 9, 7, 7, 6, 6, 4, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 0.5, 0.5])
CW = np.cumsum(CW / CW.sum())
T0 = 1_751_328_000_000  # 2025-07-01T00:00:00Z, ms
FILE_MS = 6 * 3600 * 1000  # one file is six hours of arrivals
H = 3600_000
NCUST = 2_000_000


def h(x, salt):  # splitmix64
    z = x.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) & (2**64 - 1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def u01(x, salt):
    return (h(x, salt) >> np.uint64(11)).astype(np.float64) / 2**53


HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def uuids(rng, n):
    b = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    b[:, 6] = (b[:, 6] & 0x0F) | 0x40
    b[:, 8] = (b[:, 8] & 0x3F) | 0x80
    hx = np.empty((n, 32), np.uint8)
    hx[:, 0::2] = HEX[b >> 4]
    hx[:, 1::2] = HEX[b & 15]
    out = np.full((n, 36), ord("-"), np.uint8)
    for o, i, l in ((0, 0, 8), (9, 8, 4), (14, 12, 4), (19, 16, 4), (24, 20, 12)):
        out[:, o : o + l] = hx[:, i : i + l]
    return out.reshape(-1).view("S36").astype("U36")


def iso(ms):
    return np.char.add(np.datetime_as_string(ms.astype("datetime64[ms]"), unit="ms"), "Z")


class Gen:
    def __init__(self, seed):
        self.seed, self.f, self.prev = seed, 0, None
        self.created = np.empty(0, np.int64)

    def next(self):
        f, rng = self.f, np.random.default_rng([self.seed, self.f])
        upd = np.zeros(EV, bool)
        upd[rng.permutation(EV)[:UPD]] = True
        k = np.arange(EV)
        arrival = T0 + f * FILE_MS + (k * FILE_MS) // EV
        late = np.zeros(EV, bool)
        late[rng.permutation(np.flatnonzero(~upd))[:1000]] = True
        et = arrival - np.where(late, rng.integers(3 * H, 72 * H, EV), rng.integers(0, 2 * H, EV))
        oid = np.empty(EV, np.int64)
        base = f * NEW
        oid[~upd] = base + np.arange(NEW)
        newbefore = np.cumsum(~upd)  # orders of this file known by row k
        known = base + np.maximum(newbefore, 1)
        recent = rng.random(EV) < 0.5
        lo = np.where(recent, np.maximum(0, known - 200_000), 0)
        pick = lo + (rng.random(EV) * (known - lo)).astype(np.int64)
        oid[upd] = pick[upd]
        crt = np.empty(base + NEW, np.int64)
        crt[:base] = self.created
        crt[base:] = et[~upd]
        self.created = crt
        created = crt[oid]
        et = np.where(upd, np.maximum(et, created + 1000 + k), et)
        cust = np.minimum((NCUST ** u01(oid, 1)).astype(np.int64), NCUST - 1) + 1  # log-uniform = zipf(1)
        ci = np.searchsorted(CW, u01(oid, 2))
        ci = np.minimum(ci, 19)
        cents = (
            np.round(np.exp(3.2 + 1.1 * (u01(oid, 3) + u01(oid, 4) + u01(oid, 5) - 1.5) * 2) * 100).astype(np.int64)
            + 100
        )
        st = np.where(upd, STATUS[1 + rng.choice(5, EV, p=[0.4, 0.3, 0.2, 0.06, 0.04])], STATUS[0]).astype("U12")
        reason = np.zeros(EV, np.int8)
        bad = rng.permutation(np.flatnonzero(~late))[:2000]
        for i in range(4):
            reason[bad[i * 500 : (i + 1) * 500]] = i + 1
        st[reason == 1] = BADSTATUS[rng.integers(0, 4, 500)]
        cents[reason == 2] *= -1
        cs, us = iso(created), iso(et)
        cs[reason == 4] = BADDATE[rng.integers(0, 4, 500)]
        cd = np.char.add(np.char.add("user", cust.astype("U9")), "@example.com")
        d = dict(
            event_id=uuids(rng, EV),
            order_id=oid,
            customer_id=cust,
            status=st,
            cents=cents,
            currency=CURRENCY[ci],
            country=COUNTRY[ci],
            email=cd,
            created_at=cs,
            updated_at=us,
            reason=reason,
            late=late,
            et=et,
            pos=k.astype(np.float64),
        )
        ok = np.flatnonzero(reason == 0)
        s1 = rng.choice(ok, DUP if self.prev is None else DUP // 2, replace=False)
        dups = {c: v[s1] for c, v in d.items()}
        dups["pos"] = d["pos"][s1] + rng.random(len(s1)) * (EV - d["pos"][s1])
        allp = [d, dups]
        if self.prev is not None:
            okp = np.flatnonzero(self.prev["reason"] == 0)
            s2 = rng.choice(okp, DUP - DUP // 2, replace=False)
            p = {c: v[s2] for c, v in self.prev.items()}
            p["pos"] = rng.random(len(s2)) * EV
            allp.append(p)
        self.prev = d
        o = np.argsort(np.concatenate([x["pos"] for x in allp]), kind="stable")
        out = {c: np.concatenate([x[c] for x in allp])[o] for c in d}
        self.f += 1
        return out


def to_table(o):
    cu = pa.array(np.where(o["reason"] == 3, 0, o["customer_id"]), mask=(o["reason"] == 3))
    c = o["cents"].astype(np.int64)
    w = np.empty((len(c), 2), np.int64)
    w[:, 0] = c
    w[:, 1] = c >> 63  # two's complement 128
    amt = pa.Array.from_buffers(pa.decimal128(12, 2), len(c), [None, pa.py_buffer(w.tobytes())])
    S = lambda c: pa.array(o[c].astype(object), pa.string())
    return pa.table(
        dict(
            event_id=S("event_id"),
            order_id=pa.array(o["order_id"]),
            customer_id=cu,
            status=S("status"),
            amount=amt,
            currency=S("currency"),
            country=S("country"),
            email=S("email"),
            created_at=S("created_at"),
            updated_at=S("updated_at"),
        )
    )


def ndjson_bytes(t):
    s = lambda c: t[c].cast(pa.string()) if not pa.types.is_string(t[c].type) else t[c]
    cust = pc.if_else(
        pc.is_null(t["customer_id"]),
        "",
        pc.binary_join_element_wise('"customer_id":', pc.fill_null(s("customer_id"), ""), ",", ""),
    )
    line = pc.binary_join_element_wise(
        '{"event_id":"',
        t["event_id"],
        '","order_id":',
        s("order_id"),
        ",",
        cust,
        '"status":"',
        t["status"],
        '","amount":',
        s("amount"),
        ',"currency":"',
        t["currency"],
        '","country":"',
        t["country"],
        '","email":"',
        t["email"],
        '","created_at":"',
        t["created_at"],
        '","updated_at":"',
        t["updated_at"],
        '"}\n',
        "",
    )
    a = line.combine_chunks() if isinstance(line, pa.ChunkedArray) else line
    b = a.buffers()
    off = np.frombuffer(b[1], np.int32)
    return memoryview(b[2])[off[a.offset] : off[a.offset + len(a)]]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--files", type=int, default=201)
    ap.add_argument("--out", required=True)
    ap.add_argument("--seed", type=int, default=42)
    ap.add_argument("--formats", default="ndjson,csv,parquet")
    a = ap.parse_args()
    fm = a.formats.split(",")
    import pyarrow.csv as pcsv

    for x in fm:
        os.makedirs(f"{a.out}/{x}", exist_ok=True)
    g = Gen(a.seed)
    man = {}
    tot = dict(rows=0, invalid=0, bad_enum=0, negative=0, missing=0, bad_date=0, late=0)
    nmax = a.files * NEW
    best_t = np.full(nmax, -1, np.int64)
    best_c = np.zeros(nmax, np.int64)
    best_r = np.zeros(nmax, bool)
    for f in range(a.files):
        o = g.next()
        t = to_table(o)
        n = f"orders-{f:05d}"
        if "ndjson" in fm:
            open(f"{a.out}/ndjson/{n}.ndjson", "wb").write(ndjson_bytes(t))
        if "csv" in fm:
            pcsv.write_csv(t, f"{a.out}/csv/{n}.csv")
        if "parquet" in fm:
            pq.write_table(t, f"{a.out}/parquet/{n}.parquet", compression="zstd")
        r = o["reason"]
        tot["rows"] += len(r)
        tot["invalid"] += int((r > 0).sum())
        tot["late"] += int(o["late"].sum())
        for i, c in enumerate(("bad_enum", "negative", "missing", "bad_date")):
            tot[c] += int((r == i + 1).sum())
        v = np.flatnonzero(r == 0)
        v = v[np.argsort(o["et"][v], kind="stable")]
        oi, et = o["order_id"][v], o["et"][v]
        newer = et > best_t[oi]
        best_t[oi[newer]] = et[newer]
        best_c[oi[newer]] = o["cents"][v][newer]
        best_r[oi[newer]] = ~np.isin(o["status"][v][newer], ["cancelled", "refunded"])
        nf = f + 1
        if nf in (1, 2, 5, 10, 11, 50, 51, 200, 201):
            s = best_t >= 0
            man[nf] = dict(
                tot,
                distinct_events=EV * nf,
                silver_orders=int(s.sum()),
                silver_amount_sum=round(int(best_c[s].sum()) / 100, 2),
                gold_revenue_sum=round(int(best_c[s & best_r].sum()) / 100, 2),
            )
            json.dump(man, open(f"{a.out}/manifest.json", "w"), indent=1)
    print(json.dumps(man[max(man)]))


main()
