SELECT origin_id, target_id, count(*) AS shipments, sum(weight_kg) AS weight
FROM shipment
WHERE origin_id IN (3, 17, 101, 230) AND service IN ('express', 'standard')
  AND created_at BETWEEN '2024-03-01' AND '2024-03-31' AND weight_kg > 12
GROUP BY origin_id, target_id
HAVING count(*) > 1
ORDER BY weight DESC
