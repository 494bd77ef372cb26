-- City, postcode and country say the same: their selectivities are multiplied.
-- expect: row_misestimate
-- setup
CREATE TABLE addresses (id int PRIMARY KEY, country text NOT NULL, city text NOT NULL, postcode text NOT NULL,
	route_id int NOT NULL);
CREATE TABLE routes (route_id int NOT NULL, depot text NOT NULL);
INSERT INTO addresses
SELECT g, 'country ' || g % 25, 'city ' || g % 50, 'code ' || g % 100, (g / 100) % 1000
  FROM generate_series(1, 100000) g;
INSERT INTO routes SELECT g, 'depot ' || g % 10 FROM generate_series(0, 999) g;
VACUUM ANALYZE addresses, routes;
-- query
SELECT r.depot, count(*)
  FROM addresses a JOIN routes r ON r.route_id = a.route_id
 WHERE a.country = 'country 7' AND a.city = 'city 7' AND a.postcode = 'code 57'
 GROUP BY r.depot;
