INSERT INTO measurement
SELECT i, i, repeat('x', 60) FROM generate_series(:first + 1, :first + :rows) AS i;
