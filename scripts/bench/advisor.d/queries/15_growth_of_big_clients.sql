WITH monthly AS (
  SELECT client_id, date_trunc('month', created_at) AS month, sum(price) AS revenue
  FROM shipment
  WHERE client_id <= 25 AND created_at >= '2024-01-01'
  GROUP BY 1, 2)
SELECT c.company, m.month, m.revenue,
       round(100 * (m.revenue / nullif(p.revenue, 0) - 1), 1) AS growth_pct
FROM monthly m
  JOIN client c USING (client_id)
  LEFT JOIN monthly p ON p.client_id = m.client_id AND p.month = m.month - interval '1 month'
ORDER BY c.company, m.month
