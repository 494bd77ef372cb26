SELECT count(*), sum(e.status)
FROM (SELECT order_no, max(id) AS id FROM event GROUP BY order_no) AS latest
JOIN event AS e ON e.id = latest.id;
