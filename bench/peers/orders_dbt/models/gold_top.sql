select customer_id, currency, sum(amount) as revenue, count(*) as orders
from {{ ref('silver') }}
where status not in ('cancelled', 'refunded')
group by all
order by revenue desc, customer_id, currency
limit 100
