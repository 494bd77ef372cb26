-- All employees below a manager, level by level along an index.
-- healthy
-- setup
CREATE TABLE employees (id int PRIMARY KEY, manager_id int, name text NOT NULL);
INSERT INTO employees SELECT g, CASE WHEN g > 1 THEN g / 8 + 1 END, 'employee ' || g FROM generate_series(1, 200000) g;
UPDATE employees SET manager_id = NULL WHERE manager_id = id;
CREATE INDEX employees_manager ON employees (manager_id);
VACUUM (FULL, ANALYZE) employees;
-- query
WITH RECURSIVE below AS (
	SELECT id, name, 1 AS level FROM employees WHERE id = 2
	UNION ALL
	SELECT e.id, e.name, b.level + 1 FROM below b JOIN employees e ON e.manager_id = b.id
)
SELECT level, count(*) FROM below GROUP BY level;
