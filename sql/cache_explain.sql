-- What dbperf.cache_explain() says, and to whom.
CREATE TABLE explained (id int PRIMARY KEY, name text);
INSERT INTO explained SELECT n, 'name ' || n FROM generate_series(1, 10) n;

-- what it takes
SELECT * FROM dbperf.cache_explain('SELECT name FROM explained WHERE id = $1');
SET dbperf.cache_mode = hint;
SELECT * FROM dbperf.cache_explain('SELECT name FROM explained WHERE id = $1');
SELECT * FROM dbperf.cache_explain('SELECT /* dbperf: cache */ name FROM explained WHERE id = $1');
SET dbperf.cache_mode = auto;
SELECT cacheable, detail FROM dbperf.cache_explain('SELECT name FROM explained WHERE id = $1');
SET dbperf.enabled = off;
SELECT cacheable, detail FROM dbperf.cache_explain('SELECT name FROM explained');
RESET dbperf.enabled;
SET gin_fuzzy_search_limit = 10;
SELECT cacheable, detail FROM dbperf.cache_explain('SELECT name FROM explained');
RESET gin_fuzzy_search_limit;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cacheable, detail FROM dbperf.cache_explain('SELECT name FROM explained');
COMMIT;

-- a hint on what cannot be cached
SELECT * FROM dbperf.cache_explain('SELECT /* dbperf: cache */ random() FROM explained');

-- several statements, or none
SELECT * FROM dbperf.cache_explain('SELECT name FROM explained; SELECT now(), name FROM explained; ; CHECKPOINT');
SELECT * FROM dbperf.cache_explain('');
SELECT * FROM dbperf.cache_explain(' -- nothing');
SELECT * FROM dbperf.cache_explain(NULL);

-- the server's own errors
SELECT * FROM dbperf.cache_explain('SELEC 1');
SELECT * FROM dbperf.cache_explain('SELECT name FROM not_there');
SELECT * FROM dbperf.cache_explain('SELECT $1 FROM explained');
SELECT * FROM dbperf.cache_explain('SELECT $1 IS NULL FROM explained');
SELECT * FROM dbperf.cache_explain('SELECT 1/0 FROM explained');

-- it neither executes nor changes anything
SELECT * FROM dbperf.cache_explain('DELETE FROM explained');
SELECT count(*) FROM explained;

-- rules
CREATE TABLE ruled (id int);
CREATE RULE none AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE RULE twice AS ON INSERT TO ruled DO ALSO DELETE FROM explained;
SELECT * FROM dbperf.cache_explain('DELETE FROM ruled; INSERT INTO ruled VALUES (1)');

-- the caller's rights
CREATE ROLE regress_explainer;
SET ROLE regress_explainer;
SELECT * FROM dbperf.cache_explain('SELECT name FROM explained');
SELECT * FROM dbperf.cache_explain('SELECT 1 WHERE EXISTS (SELECT FROM explained)');
RESET ROLE;
GRANT SELECT (id) ON explained TO regress_explainer;
SET ROLE regress_explainer;
SELECT * FROM dbperf.cache_explain('SELECT name FROM explained');
SELECT cacheable FROM dbperf.cache_explain('SELECT id FROM explained');
RESET ROLE;

-- in a function
CREATE FUNCTION explain_it(query text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT cacheable FROM dbperf.cache_explain(query));
END $$;
SELECT explain_it('SELECT id FROM explained');

DROP FUNCTION explain_it(text);
DROP TABLE explained, ruled;
DROP ROLE regress_explainer;
