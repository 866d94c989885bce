select created_at::date as day, country, currency, sum(amount) as revenue, count(*) as orders
from {{ ref('silver') }}
where status not in ('cancelled', 'refunded')
group by all
