{{ config(materialized='incremental', incremental_strategy='append') }}
select * exclude (_created, _updated)
from {{ ref('validated') }}
where _reasons <> '' and {{ new_loads() }}
