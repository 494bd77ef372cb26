-- many(n): n statements over the freight tables that all differ in shape.
SET search_path = bench, public;

-- A value of each column, as a literal.
CREATE TABLE sample (relname text, attname text, type text, literal text);
DO $$
DECLARE
  c record;
  value text;
BEGIN
  FOR c IN SELECT t.name, t.relname, a.attname, format_type(a.atttypid, -1) AS type
           FROM bench.tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
           ORDER BY t.relname, a.attnum
  LOOP
    EXECUTE format('SELECT max(x) FROM (SELECT %I::text AS x FROM %s LIMIT 50) s', c.attname, c.name)
      INTO value;
    INSERT INTO bench.sample
    SELECT c.relname, c.attname, c.type, format('%L::%s', value, c.type) WHERE value IS NOT NULL;
  END LOOP;
END $$;

CREATE FUNCTION many(n int) RETURNS text[] LANGUAGE sql
RETURN (
  WITH pairs AS (
    SELECT a.relname, a.attname AS a, a.literal AS la, b.attname AS b, b.literal AS lb
    FROM sample a JOIN sample b USING (relname)
    WHERE a.attname <> b.attname AND a.type <> 'boolean' AND b.type <> 'boolean'
  ), shapes AS (
    SELECT 1 AS shape, relname, a, b,
           format('SELECT * FROM %I WHERE %I = %s AND %I >= %s', relname, a, la, b, lb) AS text
    FROM pairs
    UNION ALL
    SELECT 2, relname, a, b,
           format('SELECT %I, count(*) FROM %I WHERE %I > %s GROUP BY 1', b, relname, a, la)
    FROM pairs
    UNION ALL
    SELECT 3, relname, a, b,
           format('SELECT * FROM %I WHERE %I = %s ORDER BY %I DESC LIMIT 10', relname, a, la, b)
    FROM pairs
    UNION ALL
    SELECT 4, relname, a, b,
           format('SELECT c.company, s.%I FROM shipment s JOIN client c USING (client_id) '
                  'JOIN region r USING (region_id) WHERE s.%I = %s AND r.zone = %L AND s.%I <= %s',
                  b, a, la, 'north', b, lb)
    FROM pairs WHERE relname = 'shipment'
    UNION ALL
    SELECT 5, relname, a, b,
           format('SELECT d.city, max(t.%I) FROM tracking t JOIN shipment s USING (shipment_id) '
                  'JOIN depot d ON d.depot_id = s.target_id WHERE t.%I = %s GROUP BY d.city', b, a, la)
    FROM pairs WHERE relname = 'tracking' AND b <> 'shipment_id'
  )
  SELECT array_agg(text ORDER BY hash)
  FROM (SELECT text, md5(text) AS hash FROM shapes ORDER BY hash LIMIT n) x);
