/*
description: How many customers came to a plan or a city on a day, and how many of these versions are over.
window: { column: day, size: 1 day }
*/
SELECT CAST(_start_at AS DATE) AS day, plan, count(*) AS started, count(_end_at) AS ended
FROM silver.customers
GROUP BY CAST(_start_at AS DATE), plan
