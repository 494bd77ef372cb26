-- Problems that a btree solves, each with the index that solves it.  What
-- follow_advice() prints besides indexes is a failure.
SET search_path = planted, public;

-- equality
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer = 42']);
SELECT follow_advice(ARRAY['SELECT * FROM orders o WHERE 42::bigint = o.customer AND length(note) > 5']);
SELECT follow_advice(ARRAY['SELECT count(*) FROM orders WHERE (customer) = 40 + 2 AND note <> ''y''']);

-- several equalities by selectivity: 3000, 2000 and 7 values
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE a7 = 3 AND account = 42']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE a7 = 3 AND b11 = 5 AND c13 = 7']);
-- one index for both
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE region = 3 AND customer = 42',
                           'SELECT * FROM orders WHERE customer = 43']);

-- equality and range, the range last
SELECT follow_advice(ARRAY[
    'SELECT * FROM orders WHERE created >= ''2024-02-01'' AND created < ''2024-02-15'' AND region = 3']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE total BETWEEN 1000 AND 4000 AND b11 = 7 AND a7 = 2']);
-- two ranges: only one of them leads anywhere
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE total < 300 AND created > ''2024-02-01'' AND a7 IN (1, 2)']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE NOT (total > 100 OR c13 <> 5)']);

-- the order
SELECT follow_advice(ARRAY['SELECT * FROM orders ORDER BY created LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE a7 = 3 AND b11 = 5 ORDER BY created DESC LIMIT 10']);
-- a filter that one row in ten passes is nearly as well applied on the way
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE region = 3 ORDER BY created DESC LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE a7 = 3 AND total > 100 ORDER BY total LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM orders ORDER BY region, created DESC LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM orders ORDER BY delivered DESC NULLS LAST, id LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM orders ORDER BY delivered NULLS FIRST, total DESC LIMIT 10']);
-- the next page
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE (created, total) < (''2024-05-05'', 7)
                            ORDER BY created DESC, total DESC FETCH FIRST 20 ROWS ONLY']);
-- a filter that nearly all rows pass belongs into no index
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE total > 100 ORDER BY created DESC LIMIT 5']);
-- without a limit, of few rows
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE account = 17 ORDER BY created']);

-- groups
SELECT follow_advice(ARRAY['SELECT customer, count(*) FROM orders GROUP BY customer']);
SELECT follow_advice(ARRAY['SELECT DISTINCT customer FROM orders']);
SELECT follow_advice(ARRAY['SELECT DISTINCT ON (customer) customer, created FROM orders
                            ORDER BY customer, created DESC']);
SELECT follow_advice(ARRAY['SELECT account, sum(total) FROM orders WHERE region = 4 GROUP BY account']);

-- the least and the greatest
SELECT follow_advice(ARRAY['SELECT max(total) FROM orders']);
SELECT follow_advice(ARRAY['SELECT min(created), max(created) FROM orders WHERE account = 17']);

-- lists
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer IN (1, 20, 300)']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer = ANY (''{4, 5}''::int[]) AND region = 3']);
SELECT follow_advice(ARRAY['SELECT * FROM orders JOIN (VALUES (1), (20), (300)) v (c) ON customer = c']);

-- alternatives, an index for each
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer = 5 OR account = 7']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE (customer = 5 AND region = 2) OR total = 77']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer = 5 OR customer = 9']);

-- joins: the filter on one side, the key on the other
SELECT follow_advice(ARRAY['SELECT * FROM customers c JOIN orders o ON o.customer = c.id
                            WHERE c.email = ''c55''']);
-- a merge join's cost depends on the ends of a real index, which no other has
SET enable_mergejoin = off;
SELECT follow_advice(ARRAY['SELECT o.* FROM orders o, customers c
                            WHERE o.account = 33 AND c.email = o.email']);
RESET enable_mergejoin;
SELECT follow_advice(ARRAY['SELECT c.id, l.created FROM customers c CROSS JOIN LATERAL
                            (SELECT created FROM orders o WHERE o.customer = c.id
                             ORDER BY created DESC LIMIT 1) l WHERE c.id < 50']);
SELECT follow_advice(ARRAY['SELECT c.id FROM customers c
                            WHERE c.id BETWEEN 100 AND 120
                            AND NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id AND o.region = 9)']);
SELECT follow_advice(ARRAY['SELECT email FROM customers WHERE id IN
                            (SELECT customer FROM orders WHERE total BETWEEN 500 AND 510)']);
-- both ends of the same table
SELECT follow_advice(ARRAY['WITH RECURSIVE below AS (SELECT id FROM customers WHERE id = 7
                            UNION ALL SELECT c.id FROM customers c JOIN below b ON c.parent = b.id)
                            SELECT count(*) FROM below']);

-- covering: no visit of the table
SELECT follow_advice(ARRAY['SELECT total FROM orders WHERE region = 3']);
SELECT follow_advice(ARRAY['SELECT sum(total), max(account) FROM orders WHERE b11 = 3 AND created < ''2024-03-15''']);

-- partial: a rare constant, a rare truth, what is rarely there
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE status = ''open''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE status = ''open'' ORDER BY created LIMIT 10',
                           'SELECT * FROM orders WHERE status = ''open'' AND created < ''2024-01-03''']);
SELECT follow_advice(ARRAY['SELECT id FROM orders WHERE urgent']);
SELECT follow_advice(ARRAY['SELECT id FROM orders WHERE urgent IS TRUE AND region = 2']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE delivered IS NOT NULL']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE delivered IS NOT NULL ORDER BY total LIMIT 20']);
SELECT follow_advice(ARRAY['SELECT * FROM customers WHERE parent IS NULL']);

-- expressions
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE lower(email) = ''user77@example.com''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE date_trunc(''day'', created) = ''2024-02-03''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE created::date = ''2024-02-03''']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE total % 1000 = 5 AND b11 = 2']);
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE coalesce(delivered, created) < ''2024-01-03''']);
-- depends on the time zone, so no index can have it
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE date_trunc(''day'', seen) = ''2024-02-03''']);

-- changes need to find their rows, too
SELECT follow_advice(ARRAY['UPDATE orders SET note = ''z'' WHERE account = 5']);
SELECT follow_advice(ARRAY['DELETE FROM orders WHERE created < ''2024-01-02''']);
SELECT follow_advice(ARRAY['UPDATE orders o SET note = c.note FROM customers c
                            WHERE o.total = c.id AND c.id BETWEEN 2000 AND 2020']);
SELECT follow_advice(ARRAY['MERGE INTO orders o USING (VALUES (1, 2), (3, 4)) v (c, r) ON o.customer = v.c
                            WHEN MATCHED THEN UPDATE SET region = r']);
SELECT follow_advice(ARRAY['INSERT INTO customers SELECT id + 100000, email, ''x'', NULL, ''x'' FROM orders WHERE account = 3']);
