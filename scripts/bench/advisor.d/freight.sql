-- A carrier: 8 tables, stars around shipment and tracking, and a snowflake of
-- clients, depots and regions.  About 700 MB at scale 1, and the same rows in
-- each run: every value is a hash of its row's number.  Wants "scale".
CREATE SCHEMA freight;
SET search_path = freight;

-- A number in [0, 1) for row i; "what" tells the columns of a row apart.
CREATE FUNCTION u(i bigint, what int) RETURNS float8
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (hashint8extended(i, what) & 2147483647) / 2147483648.0::float8;

-- One of several, each as likely as often as it is named.
CREATE FUNCTION pick(i bigint, what int, choices text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN choices[1 + floor(u(i, what) * cardinality(choices))::int];

CREATE TABLE size AS
SELECT greatest(2000, 120000 * :scale)::int AS clients,
       greatest(200, 8000 * :scale)::int AS vehicles,
       greatest(20000, 2000000 * :scale)::int AS shipments,
       greatest(10000, 700000 * :scale)::int AS invoices;

CREATE TABLE region (
  region_id int PRIMARY KEY, name text NOT NULL, country text NOT NULL, zone text NOT NULL);
INSERT INTO region
SELECT i, 'Region ' || i, pick(i, 1, '{DE,DE,DE,FR,FR,PL,PL,CZ,AT,IT,ES,SE}'),
       pick(i, 2, '{north,south,east,west,centre}')
FROM generate_series(1, 60) i;

CREATE TABLE depot (
  depot_id int PRIMARY KEY, region_id int NOT NULL REFERENCES region, code text NOT NULL,
  city text NOT NULL, kind text NOT NULL, opened_on date NOT NULL, capacity int NOT NULL);
INSERT INTO depot
SELECT i, 1 + floor(60 * power(u(i, 1), 1.5)), format('D%s', lpad(i::text, 4, '0')),
       'City ' || 1 + floor(300 * u(i, 2)), pick(i, 3, '{hub,depot,depot,depot,shop,shop,locker}'),
       '2005-01-01'::date + floor(6500 * u(i, 4))::int, 100 + floor(4000 * power(u(i, 5), 3))
FROM generate_series(1, 900) i;

CREATE TABLE client (
  client_id int PRIMARY KEY, region_id int NOT NULL REFERENCES region, company text NOT NULL,
  email text NOT NULL, segment text NOT NULL, signed_on date NOT NULL, credit numeric(10, 2),
  active bool NOT NULL);
INSERT INTO client
SELECT i, 1 + floor(60 * power(u(i, 1), 1.3)),
       pick(i, 2, '{Alba,Nord,Sued,Rhein,Elbe,Donau,Vita,Terra,Ferro,Lumen,Carta,Porta}')
         || pick(i, 3, '{tec,mode,druck,markt,werk,haus,foods,pharm,bau,line}') || ' ' || i,
       format('Orders.%s@Client%s.example', i, i % 977),
       CASE WHEN i <= clients * 0.002 THEN 'key' WHEN u(i, 4) < 0.1 THEN 'contract'
         WHEN u(i, 4) < 0.4 THEN 'business' ELSE 'private' END,
       '2012-01-01'::date + floor(4000 * u(i, 5))::int, round((500000 * power(u(i, 6), 6))::numeric, 2),
       u(i, 7) < 0.85
FROM size, generate_series(1, clients) i;

CREATE TABLE vehicle (
  vehicle_id int PRIMARY KEY, depot_id int NOT NULL REFERENCES depot, plate text NOT NULL,
  model text NOT NULL, fuel text NOT NULL, bought_on date NOT NULL, retired_on date);
INSERT INTO vehicle
SELECT i, 1 + floor(900 * power(u(i, 1), 2)), format('FR-%s', upper(substr(md5(i::text), 1, 7))),
       pick(i, 2, '{Sprint,Sprint,Vito,Atego,Actros,Cargo}'),
       pick(i, 3, '{diesel,diesel,diesel,gas,electric}'),
       '2010-01-01'::date + floor(5000 * u(i, 4))::int,
       CASE WHEN u(i, 5) < 0.15 THEN '2022-06-01'::date + floor(900 * u(i, 6))::int END
FROM size, generate_series(1, vehicles) i;

-- Three years, growing; a few clients and depots have most of it.  The dates of
-- a row follow from each other, and from its number.
CREATE TABLE shipment (
  shipment_id bigint PRIMARY KEY, client_id int NOT NULL, origin_id int NOT NULL,
  target_id int NOT NULL, service text NOT NULL, status text NOT NULL,
  created_at timestamp NOT NULL, due_on date NOT NULL, delivered_at timestamp,
  weight_kg numeric(8, 2) NOT NULL, price numeric(10, 2) NOT NULL, reference text NOT NULL);
INSERT INTO shipment
SELECT i, 1 + floor(clients * power(u(i, 1), 3)), 1 + floor(900 * power(u(i, 2), 2)),
       1 + floor(900 * power(u(i, 3), 1.4)), service,
       CASE WHEN fate < 0.002 THEN 'lost' WHEN fate < 0.014 THEN 'returned'
         WHEN arrival < '2025-01-01' THEN 'delivered'
         WHEN created_at < '2024-12-31' THEN 'in_transit' ELSE 'created' END,
       created_at, created_at::date + days,
       CASE WHEN fate >= 0.002 AND arrival < '2025-01-01' THEN arrival END,
       weight, round((3 + days * 0.2 + weight * 0.4 * (1 + u(i, 10)))::numeric, 2),
       'R' || upper(substr(md5('shipment' || i), 1, 11))
FROM (SELECT *, created_at + interval '1 day' * days * (0.3 + power(u(i, 6), 2) * 1.6) AS arrival
      FROM (SELECT *,
                   '2022-01-01'::timestamp + interval '1 second' * floor(94694400
                     * power((i + 200 * u(i, 4)) / (shipments + 200), 0.75)) AS created_at,
                   CASE service WHEN 'express' THEN 1 WHEN 'standard' THEN 3
                     WHEN 'economy' THEN 6 ELSE 9 END AS days
            FROM (SELECT i, clients, shipments, u(i, 8) AS fate,
                         round((0.2 + 30 * power(u(i, 9), 4))::numeric, 2)::float8 AS weight,
                         pick(i, 5, '{express,express,standard,standard,standard,standard,economy,economy,economy,freight}') AS service
                  FROM size, generate_series(1, shipments) i) a) b) c;

CREATE TABLE tracking (
  tracking_id bigint PRIMARY KEY, shipment_id bigint NOT NULL, depot_id int NOT NULL,
  vehicle_id int, event text NOT NULL, event_at timestamp NOT NULL, note text);
INSERT INTO tracking
SELECT row_number() OVER (), shipment_id,
       CASE n WHEN 1 THEN origin_id WHEN last THEN target_id ELSE 1 + (id % 45)::int * 20 END,
       CASE WHEN n > 1 THEN 1 + floor(vehicles * power(u(id, 1), 1.5))::int END,
       CASE WHEN n = 1 THEN 'accepted' WHEN n < last THEN 'sorted'
         WHEN status = 'lost' THEN 'lost' WHEN status = 'returned' THEN 'refused'
         WHEN delivered_at IS NULL THEN 'loaded' ELSE 'handed over' END,
       CASE WHEN n = last AND n > 1 THEN coalesce(delivered_at, created_at + interval '20 hours')
         ELSE created_at + interval '1 minute' * floor(n * 300 * u(id, 2)) END,
       CASE WHEN u(id, 3) < 0.03 THEN pick(id, 4, '{damaged,wet,neighbour,closed,second attempt}') END
FROM (SELECT s.*, n, last, shipment_id * 8 + n AS id, vehicles
      FROM size, shipment s, LATERAL (SELECT 1 + floor(u(shipment_id, 11) * 4)::int AS last) l,
           generate_series(1, last) n
      ORDER BY shipment_id, n) t;

CREATE TABLE invoice (
  invoice_id int PRIMARY KEY, client_id int NOT NULL, period date NOT NULL, issued_on date NOT NULL,
  due_on date NOT NULL, paid_on date, amount numeric(12, 2) NOT NULL, currency text NOT NULL,
  dunning int NOT NULL);
INSERT INTO invoice
SELECT i, 1 + floor(clients * power(u(i, 1), 2)), period, issued_on, issued_on + 30,
       CASE WHEN fate > 0.03 AND paid_on < '2025-01-01' THEN paid_on END,
       round((8 + 4000 * power(u(i, 5), 6))::numeric, 2),
       pick(i, 6, '{EUR,EUR,EUR,EUR,EUR,EUR,PLN,CZK,SEK}'),
       CASE WHEN fate <= 0.03 THEN 1 + floor(3 * u(i, 7))::int ELSE 0 END
FROM (SELECT *, issued_on + floor(45 * u(i, 3))::int AS paid_on
      FROM (SELECT *, (period + interval '1 month')::date + floor(5 * u(i, 2))::int AS issued_on
            FROM (SELECT i, clients, u(i, 4) AS fate,
                         ('2022-01-01'::date + interval '1 month' * floor(36 * (i - 1) / invoices))::date AS period
                  FROM size, generate_series(1, invoices) i) a) b) c;

CREATE TABLE claim (
  claim_id int PRIMARY KEY, shipment_id bigint NOT NULL, opened_on date NOT NULL, closed_on date,
  reason text NOT NULL, severity int NOT NULL, amount numeric(10, 2) NOT NULL, note text NOT NULL);
INSERT INTO claim
SELECT row_number() OVER (), shipment_id, opened_on,
       CASE WHEN u(shipment_id, 23) < 0.97 THEN opened_on + floor(60 * u(shipment_id, 24))::int END,
       CASE WHEN status = 'lost' THEN 'loss'
         ELSE pick(shipment_id, 25, '{damage,damage,delay,delay,delay,address,billing}') END,
       1 + floor(5 * power(u(shipment_id, 26), 2))::int, round((price * 3 * u(shipment_id, 27))::numeric, 2),
       'Reported by the receiver: ' || repeat(md5(shipment_id::text) || ' ', 1 + (shipment_id % 6)::int)
FROM (SELECT *, due_on + floor(20 * u(shipment_id, 22))::int AS opened_on
      FROM shipment
      WHERE status = 'lost' OR u(shipment_id, 21) < 0.07
      ORDER BY due_on, shipment_id) s;

DROP TABLE size;
DROP FUNCTION pick, u;
ALTER TABLE shipment ADD FOREIGN KEY (client_id) REFERENCES client,
  ADD FOREIGN KEY (origin_id) REFERENCES depot, ADD FOREIGN KEY (target_id) REFERENCES depot;
ALTER TABLE tracking ADD FOREIGN KEY (shipment_id) REFERENCES shipment,
  ADD FOREIGN KEY (depot_id) REFERENCES depot, ADD FOREIGN KEY (vehicle_id) REFERENCES vehicle;
ALTER TABLE invoice ADD FOREIGN KEY (client_id) REFERENCES client;
ALTER TABLE claim ADD FOREIGN KEY (shipment_id) REFERENCES shipment;
