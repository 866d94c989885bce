/*
description: The hundred customers with the highest revenue in one currency.
*/
SELECT
  customer_id,
  currency,
  sum(amount) AS revenue,
  count(*) AS orders
FROM silver.orders
WHERE status NOT IN ('cancelled', 'refunded')
GROUP BY customer_id, currency
ORDER BY revenue DESC, customer_id, currency
LIMIT 100
