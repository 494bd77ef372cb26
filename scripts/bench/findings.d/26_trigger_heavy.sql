-- A price update whose row trigger keeps a sum up to date, row by row.
-- expect: trigger_share
-- setup
CREATE TABLE stores (id int PRIMARY KEY, stock_value bigint NOT NULL);
CREATE TABLE stock (id int PRIMARY KEY, store_id int NOT NULL, value int NOT NULL);
INSERT INTO stores SELECT g, 0 FROM generate_series(1, 200) g;
INSERT INTO stock SELECT g, g % 200 + 1, g % 100 FROM generate_series(1, 12000) g;
CREATE FUNCTION keep_sum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE stores SET stock_value = stock_value + NEW.value - OLD.value WHERE id = NEW.store_id;
	RETURN NULL;
END $$;
CREATE TRIGGER keep_sum AFTER UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION keep_sum();
VACUUM ANALYZE stores, stock;
-- query
UPDATE stock SET value = value + 1 WHERE id <= 1500;
