/*
description: Revenue by day of the order, country and currency, without what was cancelled or paid back.
contract: daily_revenue
window: { column: day, size: 1 day }
*/
SELECT
  CAST(created_at AS DATE) AS day,
  country,
  currency,
  sum(amount) AS revenue,
  count(*) AS orders
FROM silver.orders
WHERE is_revenue(status)
GROUP BY CAST(created_at AS DATE), country, currency
