-- Tables with columns that depend on each other, and with some that do not.
-- :rows is their size.

-- equality: one column follows from the other
CREATE TABLE address AS
    SELECT i AS id, 'city ' || i % 200 AS city, 10000 + (i % 200) * 7 AS zip
      FROM generate_series(1, :rows) AS i;
CREATE TABLE car AS
    SELECT i AS id, (i % 900) / 30 AS make, 'model ' || i % 900 AS model
      FROM generate_series(1, :rows) AS i;
-- equality: only some combinations are common
CREATE TABLE payment AS
    SELECT i AS id,
           CASE WHEN i % 10 < 8 THEN 'paid' WHEN i % 10 = 8 THEN 'open' ELSE 'refused' END AS state,
           CASE WHEN i % 10 < 9 THEN 'none' ELSE 'reason ' || i % 7 END AS refusal
      FROM generate_series(1, :rows) AS i;
CREATE TABLE ticket AS
    SELECT i AS id, i % 40 AS team, (i % 40 + i / 40 % 3) % 40 AS skill
      FROM generate_series(1, :rows) AS i;
-- IN
CREATE TABLE price AS
    SELECT i AS id, 'country ' || i % 150 AS country, 'currency ' || (i % 150) / 3 AS currency
      FROM generate_series(1, :rows) AS i;
CREATE TABLE delivery AS
    SELECT i AS id, i % 500 AS product, (i % 500) / 5 AS supplier
      FROM generate_series(1, :rows) AS i;
CREATE TABLE visit AS
    SELECT i AS id, date '2025-01-01' + i % 365 AS day,
           extract(month FROM date '2025-01-01' + i % 365)::int AS month
      FROM generate_series(1, :rows) AS i;
-- GROUP BY
CREATE TABLE sale AS
    SELECT i AS id, i % 1000 AS shop, (i % 1000) / 20 AS region
      FROM generate_series(1, :rows) AS i;
CREATE TABLE flight AS
    SELECT i AS id, 'airport ' || i % 300 AS airport, 'code ' || i % 300 AS code
      FROM generate_series(1, :rows) AS i;
CREATE TABLE shift AS
    SELECT i AS id, i % 700 AS worker, (i % 700) / 7 AS crew, i % 11 AS weekday
      FROM generate_series(1, :rows) AS i;

-- two ranges
CREATE TABLE parcel AS
    SELECT i AS id, i AS ordered, i + i % 50 AS shipped FROM generate_series(1, :rows) AS i;
CREATE TABLE measure AS
    SELECT i AS id, i * 3 AS low, i * 3 + i % 100 AS high FROM generate_series(1, :rows) AS i;
CREATE TABLE stay AS
    SELECT i AS id, timestamp '2025-01-01' + i * interval '1 minute' AS arrival,
           timestamp '2025-01-01' + (i + i % 600) * interval '1 minute' AS departure
      FROM generate_series(1, :rows) AS i;

-- columns that have nothing to do with each other
CREATE TABLE dice AS
    SELECT i AS id, hashint4(i) % 20 AS one, hashint4(i + 1000000) % 20 AS other
      FROM generate_series(1, :rows) AS i;

-- what is asked for; kind is what is planted there
CREATE TABLE planted (id int PRIMARY KEY, tables text, kind text, query text);
INSERT INTO planted VALUES
    (1, 'address', 'pair', $$SELECT * FROM address WHERE city = 'city 17' AND zip = 10119$$),
    (2, 'car', 'pair', $$SELECT * FROM car WHERE make = 7 AND model = 'model 215'$$),
    (3, 'payment', 'pair', $$SELECT * FROM payment WHERE state = 'paid' AND refusal = 'reason 2'$$),
    (4, 'ticket', 'pair', $$SELECT * FROM ticket WHERE team = 12 AND skill = 13$$),
    (5, 'price', 'pair', $$SELECT * FROM price WHERE country IN ('country 3', 'country 4')
                            AND currency IN ('currency 1', 'currency 40')$$),
    (6, 'delivery', 'pair', $$SELECT * FROM delivery WHERE product IN (5, 6, 7, 8) AND supplier = 1$$),
    (7, 'visit', 'pair', $$SELECT * FROM visit WHERE day IN ('2025-03-04', '2025-03-05') AND month = 3$$),
    (8, 'sale', 'pair', $$SELECT shop, region FROM sale GROUP BY shop, region$$),
    (9, 'flight', 'pair', $$SELECT DISTINCT airport, code FROM flight$$),
    (10, 'shift', 'pair', $$SELECT worker, crew FROM shift GROUP BY worker, crew$$),
    (11, 'parcel', 'range', $$SELECT * FROM parcel WHERE ordered > 50000 AND shipped < 51000$$),
    (12, 'measure', 'range', $$SELECT * FROM measure WHERE low < 30000 AND high > 29000$$),
    (13, 'stay', 'range', $$SELECT * FROM stay WHERE arrival < '2025-01-20' AND departure > '2025-01-19 12:00'$$),
    (14, 'dice', 'none', $$SELECT * FROM dice WHERE one = 3 AND other = 4$$),
    (15, 'dice', 'none', $$SELECT one, other FROM dice GROUP BY one, other$$);
CREATE TABLE measured (id int, stage text, estimated float8, actual float8, error float8);
VACUUM ANALYZE;

-- By which factor the estimate of a query's rows is wrong, as EXPLAIN shows it.
CREATE PROCEDURE measure_all(measured_stage text)
LANGUAGE plpgsql AS $$
DECLARE
    one planted;
    plan json;
    estimated float8;
    actual float8;
BEGIN
    FOR one IN SELECT * FROM planted ORDER BY id LOOP
        EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || one.query INTO plan;
        estimated := greatest((plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8, 1);
        actual := greatest((plan -> 0 -> 'Plan' ->> 'Actual Rows')::float8, 1);
        INSERT INTO measured
        VALUES (one.id, measured_stage, estimated, actual,
                greatest(estimated / actual, actual / estimated));
    END LOOP;
END;
$$;
