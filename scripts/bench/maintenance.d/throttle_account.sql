CREATE TABLE account (id integer NOT NULL, balance integer NOT NULL, filler char(84) NOT NULL);
INSERT INTO account SELECT i, 0, '' FROM generate_series(1, :rows) AS i;
ALTER TABLE account ADD PRIMARY KEY (id);
