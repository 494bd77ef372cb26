-- Revenue per category: every item joined to a small table that is hashed in memory.
-- healthy
-- setup
CREATE TABLE categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE items (id int PRIMARY KEY, category_id int NOT NULL, price int NOT NULL);
INSERT INTO categories SELECT g, 'category ' || g FROM generate_series(1, 500) g;
INSERT INTO items SELECT g, g % 500 + 1, g % 1000 FROM generate_series(1, 350000) g;
VACUUM ANALYZE categories, items;
-- query
SELECT c.name, sum(i.price) FROM items i JOIN categories c ON c.id = i.category_id GROUP BY c.name;
