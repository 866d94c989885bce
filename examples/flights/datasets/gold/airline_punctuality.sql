/*
description: Each airline's year. Late is 15 minutes or more after the schedule.
*/
SELECT
  carrier,
  airline,
  count(*) AS flights,
  count(*) - count(dep_time) AS cancelled,
  avg(arr_delay) AS mean_arrival_delay,
  sum(CASE WHEN arr_delay >= 15 THEN 1 ELSE 0 END) AS late_arrivals
FROM silver.flights
GROUP BY carrier, airline
