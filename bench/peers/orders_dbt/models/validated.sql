-- Each event with its two times read and the reasons for which it is invalid; empty if it is not.
{{ config(materialized='view') }}
{% set required = ['event_id', 'order_id', 'customer_id', 'status', 'amount', 'currency', 'country', 'email', 'created_at', 'updated_at'] %}
{% set times = {'created_at': '_created', 'updated_at': '_updated'} %}
with timed as (
  select *
    {%- for text, time in times.items() %},
    try_strptime({{ text }}, '%Y-%m-%dT%H:%M:%S.%gZ') as {{ time }}
    {%- endfor %}
  from {{ source('raw', 'orders') }}
)
select
  *,
  concat_ws(';',
    {%- for column in required %}
    case when {{ column }} is null then 'missing:{{ column }}' end,
    {%- endfor %}
    {%- for text, time in times.items() %}
    case when {{ text }} is not null and {{ time }} is null then 'type:{{ text }}' end,
    {%- endfor %}
    case when status not in ('placed', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded') then 'enum:status' end,
    case when currency not in ('USD', 'EUR', 'GBP', 'BRL', 'JPY', 'INR', 'CAD', 'AUD', 'SEK', 'PLN', 'MXN', 'ARS', 'ZAR', 'KRW', 'TRY', 'CHF')
      then 'enum:currency' end,
    case when amount < 0 then 'range:amount' end
  ) as _reasons
from timed
