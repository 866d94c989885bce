/*
description: Customers by plan and city, as they are now.
*/
SELECT plan, city, count(*) AS customers
FROM silver.customers
WHERE _end_at IS NULL
GROUP BY plan, city
