{# Rows of the loads that this model has not seen. dlt's ids grow with time. #}
{% macro new_loads() %}
  {% if is_incremental() %}_dlt_load_id > (select coalesce(max(_dlt_load_id), '') from {{ this }}){% else %}true{% endif %}
{% endmacro %}
