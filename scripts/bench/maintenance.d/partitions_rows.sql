-- An order has four events on average, within some two months.
SELECT format('INSERT INTO event_%1$s
    SELECT %2$s::bigint * %3$s + i, date %4$L + i * 27 / %3$s,
           (%2$s::bigint * %3$s + i + (hashint8(i * 7919 + %2$s) & 2147483647) %% (%3$s * 2)) / 4,
           i %% 9
    FROM generate_series(1, %3$s) AS i', m, m - 1, :rows,
              (date '2025-01-01' + (m - 1) * interval '1 month')::date)
FROM generate_series(1, 12) AS m \gexec
