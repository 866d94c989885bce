/*
description: How delays build up over a day, by airport and scheduled hour (UTC).
window: { column: time_hour, size: 1 day }
*/
SELECT
  origin,
  time_hour,
  count(*) AS flights,
  count(*) - count(dep_time) AS cancelled,
  avg(dep_delay) AS mean_delay
FROM silver.flights
GROUP BY origin, time_hour
