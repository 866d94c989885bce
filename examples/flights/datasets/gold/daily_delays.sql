/*
description: Flights, cancellations and mean departure delay by airport and day.
contract: daily_delays
window: { column: flight_date, size: 1 day }
*/
SELECT
  origin,
  flight_date,
  count(*) AS flights,
  count(*) - count(dep_time) AS cancelled,
  avg(dep_delay) AS mean_delay
FROM silver.flights
GROUP BY origin, flight_date
