# Prints the dashboard's 200 queries, the most frequent first: 10 of each table,
# none of them twice, with the variable "hint" in front.
BEGIN {
	for (rank = 1; rank <= 200; rank++) {
		table = "sales_" (rank * 7) % 20 + 1
		kind = int((rank - 1) / 20)
		if (kind == 0)
			query = "SELECT region, count(*), sum(amount) FROM " table " GROUP BY region ORDER BY region"
		else if (kind == 1)
			query = "SELECT extract(month FROM day), sum(amount) FROM " table " GROUP BY 1 ORDER BY 1"
		else if (kind == 2)
			query = "SELECT product, sum(amount) AS total FROM " table \
				" GROUP BY product ORDER BY total DESC, product LIMIT 10"
		else if (kind == 3)
			query = "SELECT count(DISTINCT product) FROM " table " WHERE amount > 500"
		else if (kind == 4)
			query = "SELECT r.name, avg(s.amount) FROM " table \
				" s JOIN region r ON r.id = s.region GROUP BY r.name ORDER BY r.name"
		else if (kind == 5)
			query = "SELECT min(amount), max(amount), avg(amount) FROM " table " WHERE product = 7"
		else if (kind == 6)
			query = "SELECT quantity, count(*) FROM " table \
				" WHERE region IN (1, 2, 3) GROUP BY quantity ORDER BY quantity"
		else if (kind == 7)
			query = "SELECT day, sum(amount) FROM " table \
				" WHERE day >= '2026-06-01' GROUP BY day ORDER BY day"
		else if (kind == 8)
			query = "SELECT sum(quantity * amount) FROM " table " WHERE product BETWEEN 20 AND 40"
		else
			query = "SELECT region, product, sum(amount) FROM " table \
				" GROUP BY region, product ORDER BY 3 DESC, 1, 2 LIMIT 20"
		print hint query ";"
	}
}
