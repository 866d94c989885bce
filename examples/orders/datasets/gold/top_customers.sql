/*
description: The hundred customers with the highest revenue in one currency.
*/
SELECT
  customer_id,
  currency,
  sum(amount) AS revenue,
  count(*) AS orders
FROM silver.orders
WHERE is_revenue(status)
GROUP BY customer_id, currency
ORDER BY revenue DESC, customer_id, currency
LIMIT 100
