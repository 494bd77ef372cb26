-- Maintenance windows: rows that mean nothing are refused, and the others are
-- open when the clocks of their zone say so.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION refused_window(name text, days text, starts text, ends text, zone text DEFAULT 'UTC')
RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('INSERT INTO dbperf.maintenance_windows VALUES (%L, %L, %L, %L, %L)',
                          $1, $2, $3, $4, $5))
$$;
\a\t
SELECT refused_window('', '{mon}', '01:00', '02:00');
SELECT refused_window(repeat('x', 64), '{mon}', '01:00', '02:00');
SELECT refused_window('w', '{}', '01:00', '02:00');
SELECT refused_window('w', '{mon,Tuesday}', '01:00', '02:00');
SELECT refused_window('w', '{mon,NULL}', '01:00', '02:00');
SELECT refused_window('w', '{mon}', '01:00', '01:00');
SELECT refused_window('w', '{mon}', '01:00:00.2', '01:00');
SELECT refused_window('w', '{mon}', '24:00', '01:00');
SELECT refused_window('w', '{mon}', '01:00', '02:00', 'Atlantis/Capital');
SELECT refused_window('w', '{mon}', '01:00', '02:00', '');
SELECT refused_window('w', '{mon}', '01:00', '02:00', repeat('x', 300));
SELECT refused_window('w', NULL, '01:00', '02:00');
SELECT refused_window('w', '{mon}', NULL, '02:00');
SELECT count(*) FROM dbperf.maintenance_windows;
SELECT refused($$INSERT INTO dbperf.maintenance_windows (name, start_time, end_time)
                 SELECT 'many ' || g, '01:00', '02:00' FROM generate_series(1, 65) AS g$$);
SELECT refused($$SELECT dbperf.maintenance_window_open('none')$$);
SELECT refused($$SELECT dbperf.maintenance_window_open('none', 'infinity')$$);
\a\t

-- the boundaries of a day, and of the window
INSERT INTO dbperf.maintenance_windows (name, days, start_time, end_time, time_zone) VALUES
    ('night', '{fri,sat}', '22:00', '06:00', 'UTC'),
    ('evening', '{mon}', '22:00', '24:00', 'UTC'),
    ('always', DEFAULT, '00:00', '24:00', 'UTC'),
    ('weekend', '{sat,sun}', '00:00', '24:00', 'Europe/Berlin'),
    ('tokyo', '{mon}', '01:00', '02:00', 'Asia/Tokyo'),
    ('kathmandu', '{mon}', '00:00', '00:30', 'Asia/Kathmandu'),
    ('mtv', '{mon}', '01:00', '02:00', 'MTV5:30');
SELECT w.name, to_char(t.at, 'Dy HH24:MI:SS') AS at, dbperf.maintenance_window_open(w.name, t.at) AS open
  FROM (VALUES
        ('night', '2026-11-06 21:59:59'), -- a Friday
        ('night', '2026-11-06 22:00:00'),
        ('night', '2026-11-07 05:59:59'),
        ('night', '2026-11-07 06:00:00'),
        ('night', '2026-11-07 22:00:00'),
        ('night', '2026-11-08 05:59:59'),
        ('night', '2026-11-08 22:30:00'),
        ('night', '2026-11-06 03:00:00'),
        ('evening', '2026-11-09 21:59:59'),
        ('evening', '2026-11-09 23:59:59.999'),
        ('evening', '2026-11-10 00:00:00'),
        ('always', '2026-11-10 00:00:00'),
        ('weekend', '2026-11-06 22:59:59'),
        ('weekend', '2026-11-06 23:00:00'),
        ('weekend', '2026-11-08 22:59:59'),
        ('weekend', '2026-11-08 23:00:00'),
        ('tokyo', '2026-11-08 15:59:59'),
        ('tokyo', '2026-11-08 16:00:00'),
        ('tokyo', '2026-11-09 01:30:00'),
        ('kathmandu', '2026-11-08 18:14:59'),
        ('kathmandu', '2026-11-08 18:15:00'),
        ('kathmandu', '2026-11-08 18:45:00'),
        ('mtv', '2026-11-09 06:29:59'),
        ('mtv', '2026-11-09 06:30:00'),
        ('night', '1969-12-26 21:59:59.5'),
        ('night', '1969-12-26 22:00:00')) AS w (name, at),
       LATERAL (SELECT w.at::timestamptz) AS t (at);
SELECT window_name, open, to_char(opens_at, 'Dy HH24:MI') AS opens, to_char(closes_at, 'Dy HH24:MI') AS closes
  FROM dbperf.maintenance_window_states('2026-11-07 12:00') ORDER BY window_name;
SELECT window_name, open, to_char(opens_at, 'Dy HH24:MI') AS opens, to_char(closes_at, 'Dy HH24:MI') AS closes
  FROM dbperf.maintenance_window_states('2026-11-07 02:00') ORDER BY window_name;

-- times that the server does not know any more do not disturb
SELECT bool_or(open) AS open FROM dbperf.maintenance_window_states('294276-12-31 23:00') WHERE window_name <> 'always';
SELECT bool_or(open) AS open FROM dbperf.maintenance_window_states('4713-01-01 00:00 BC') WHERE window_name <> 'always';

-- clocks put forward: Berlin, 2026-03-29 02:00 (01:00 UTC) becomes 03:00
TRUNCATE dbperf.maintenance_windows CASCADE;
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time, time_zone) VALUES
    ('1 in the gap', '02:30', '02:50', 'Europe/Berlin'),
    ('2 opens in the gap', '02:30', '04:00', 'Europe/Berlin'),
    ('3 closes in the gap', '01:00', '02:30', 'Europe/Berlin'),
    ('4 across it', '22:00', '06:00', 'Europe/Berlin'),
    ('5 up to it', '01:00', '02:00', 'Europe/Berlin'),
    ('6 from its end', '03:00', '04:00', 'Europe/Berlin'),
    ('7 whole day', '00:00', '24:00', 'Europe/Berlin');
CREATE FUNCTION openings(since timestamptz, until timestamptz)
RETURNS TABLE (name text, opens timestamptz, closes timestamptz, length interval)
LANGUAGE sql AS $$
    WITH minutes AS (
        SELECT w.name, m.at, dbperf.maintenance_window_open(w.name, m.at) AS open
          FROM dbperf.maintenance_windows AS w,
               generate_series($1, $2, interval '10 minutes') AS m (at)
    ), changes AS (
        SELECT m.name, m.at, m.open, lag(m.open) OVER w AS before
          FROM minutes AS m WINDOW w AS (PARTITION BY m.name ORDER BY m.at)
    ), moments AS (
        SELECT c.name, c.at, c.open, lead(c.at) OVER (PARTITION BY c.name ORDER BY c.at) AS next
          FROM changes AS c WHERE c.before <> c.open
    )
    SELECT m.name, m.at, m.next, m.next - m.at FROM moments AS m WHERE m.open
$$;
SELECT * FROM openings('2026-03-28 12:00', '2026-03-29 12:00') ORDER BY name, opens;
-- what is said of the next change is what happens
CREATE FUNCTION wrong_changes(since timestamptz, until timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*)
      FROM generate_series($1, $2, interval '37 minutes') AS m (at),
           dbperf.maintenance_window_states(m.at) AS s,
           LATERAL (SELECT coalesce(s.opens_at, s.closes_at)) AS c (change)
     WHERE s.open IS DISTINCT FROM dbperf.maintenance_window_open(s.window_name, m.at)
        OR (s.opens_at IS NULL) = (s.closes_at IS NULL) AND s.window_name <> '7 whole day'
        OR c.change <= m.at
        OR c.change IS NOT NULL
           AND (s.open = dbperf.maintenance_window_open(s.window_name, c.change)
                OR s.open <> dbperf.maintenance_window_open(s.window_name, c.change - interval '1 second')
                OR s.open <> dbperf.maintenance_window_open(s.window_name, m.at + (c.change - m.at) / 2))
$$;
SELECT wrong_changes('2026-03-28 06:00', '2026-03-29 18:00');

-- clocks put back: Berlin, 2026-10-25 03:00 (01:00 UTC) becomes 02:00
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time, time_zone) VALUES
    ('8 ends with it', '02:30', '03:00', 'Europe/Berlin');
SELECT * FROM openings('2026-10-24 12:00', '2026-10-25 12:00') ORDER BY name, opens;
SELECT wrong_changes('2026-10-24 06:00', '2026-10-25 18:00');

-- by half an hour (Lord Howe), and at midnight, where a day begins at 01:00 (Beirut)
TRUNCATE dbperf.maintenance_windows CASCADE;
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time, time_zone) VALUES
    ('1 howe', '01:40', '02:20', 'Australia/Lord_Howe'),
    ('2 beirut', '00:00', '02:00', 'Asia/Beirut'),
    ('3 beirut', '23:00', '24:00', 'Asia/Beirut');
SELECT * FROM openings('2025-03-29 12:00', '2025-03-30 12:00') WHERE name <> '1 howe' ORDER BY name, opens;
SELECT * FROM openings('2025-04-05 12:00', '2025-04-06 12:00') WHERE name = '1 howe' ORDER BY opens;
SELECT * FROM openings('2025-10-04 12:00', '2025-10-05 12:00') WHERE name = '1 howe' ORDER BY opens;
SELECT wrong_changes('2025-04-05 06:00', '2025-04-06 06:00'),
       wrong_changes('2025-10-04 06:00', '2025-10-05 06:00');

-- once a week, on the day that the clocks take: a week later
TRUNCATE dbperf.maintenance_windows CASCADE;
INSERT INTO dbperf.maintenance_windows (name, days, start_time, end_time, time_zone) VALUES
    ('weekly', '{sun}', '02:30', '02:45', 'Europe/Berlin');
SELECT opens_at FROM dbperf.maintenance_window_states('2026-03-22 12:00');

-- the clock of the tests
SET dbperf.maintenance_clock = '2026-04-05 00:29:59 UTC';
SELECT dbperf.maintenance_window_open('weekly');
SET dbperf.maintenance_clock = '2026-04-05 00:30:00 UTC';
SELECT dbperf.maintenance_window_open('weekly');
SELECT * FROM dbperf.maintenance_window_states();
RESET dbperf.maintenance_clock;

-- a plain role may not; a member of pg_monitor reads and does not write
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
GRANT EXECUTE ON FUNCTION refused(text) TO public;
SET ROLE regress_dbperf_plain;
SELECT refused('SELECT * FROM dbperf.maintenance_windows');
SELECT refused($$SELECT dbperf.maintenance_window_open('weekly')$$);
SELECT refused('SELECT * FROM dbperf.maintenance_window_states()');
SET ROLE regress_dbperf_monitor;
SELECT name, days FROM dbperf.maintenance_windows;
SELECT dbperf.maintenance_window_open('weekly', '2026-04-05 00:30:00 UTC');
SELECT refused('DELETE FROM dbperf.maintenance_windows');
RESET ROLE;
DROP ROLE regress_dbperf_plain, regress_dbperf_monitor;
DELETE FROM dbperf.maintenance_windows;
DROP FUNCTION refused(text) CASCADE;
DROP FUNCTION refused_window;
DROP FUNCTION openings;
DROP FUNCTION wrong_changes;
