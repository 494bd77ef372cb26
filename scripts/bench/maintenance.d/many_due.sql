-- 12 % of due_1 and due_2 will be dead, too little for autovacuum; of due_3 40 %.
CREATE TABLE due_1 (id integer PRIMARY KEY, note text);
CREATE TABLE due_2 (id integer PRIMARY KEY, note text);
CREATE TABLE due_3 (id integer PRIMARY KEY, note text);
INSERT INTO due_1 SELECT i, 'x' FROM generate_series(1, 10000) AS i;
INSERT INTO due_2 SELECT i, 'x' FROM generate_series(1, 10000) AS i;
INSERT INTO due_3 SELECT i, 'x' FROM generate_series(1, 10000) AS i;
