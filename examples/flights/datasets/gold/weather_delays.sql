/*
description: Departure delay by how far one could see at the airport in the scheduled hour.
*/
SELECT
  CASE
    WHEN w.visib IS NULL THEN 'no report'
    WHEN w.visib < 1 THEN 'under 1 mile'
    WHEN w.visib < 3 THEN '1 to 3 miles'
    WHEN w.visib < 10 THEN '3 to 10 miles'
    ELSE '10 miles'
  END AS visibility,
  count(*) AS flights,
  count(*) - count(f.dep_time) AS cancelled,
  avg(f.dep_delay) AS mean_delay
FROM silver.flights AS f
LEFT JOIN silver.weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
GROUP BY 1
