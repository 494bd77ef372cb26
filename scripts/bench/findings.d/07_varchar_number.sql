-- A part number kept as varchar and compared as a number.
-- expect: cast_on_column
-- setup
CREATE TABLE parts (id int PRIMARY KEY, part_no varchar(20) NOT NULL, description text NOT NULL);
INSERT INTO parts
SELECT g, ((g * 7919::bigint) % 1000000)::text, repeat('d', 60) FROM generate_series(1, 350000) g;
CREATE INDEX parts_part_no ON parts (part_no);
VACUUM ANALYZE parts;
-- query
SELECT id, description FROM parts WHERE part_no::int = 79190;
