{{ config(
  materialized='incremental',
  incremental_strategy='merge',
  unique_key='order_id',
  merge_update_condition='DBT_INTERNAL_SOURCE.updated_at > DBT_INTERNAL_DEST.updated_at'
) }}
select
  event_id, order_id, customer_id, status, amount::decimal(12, 2) as amount, currency, country,
  sha256(email) as email_sha256, _created as created_at, _updated as updated_at, _dlt_load_id
from {{ ref('validated') }}
where _reasons = '' and {{ new_loads() }}
qualify row_number() over (partition by order_id order by _updated desc, event_id desc) = 1
