-- Run by SQLite's shell on a database file: tables, indexes, transactions, joins, windows, common table expressions.
PRAGMA journal_mode = DELETE;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, since TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, cents INTEGER CHECK (cents > 0), note TEXT);
CREATE INDEX purchase_customer ON purchase (customer, cents);
INSERT INTO customer (name, since) VALUES ('Ada', '1843-01-01'), ('Grace', '1952-05-01'), ('Barbara', '1968-09-01');
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO purchase (customer, cents, note) SELECT 1 + i % 3, 1 + (i * 7919) % 10007, printf('item %05d', i) FROM n;
COMMIT;
BEGIN;
DELETE FROM purchase;
ROLLBACK;
SELECT count(*), sum(cents), min(note), max(note) FROM purchase;
SELECT name, count(*) AS purchases, sum(cents) AS total FROM customer JOIN purchase ON customer.id = purchase.customer
GROUP BY name ORDER BY total DESC;
SELECT customer, cents, rank() OVER (PARTITION BY customer ORDER BY cents DESC) AS place FROM purchase
ORDER BY place, customer LIMIT 6;
UPDATE purchase SET cents = cents + 1 WHERE id % 100 = 0;
DELETE FROM purchase WHERE id % 2 = 1;
SELECT count(*), total(cents) FROM purchase;
INSERT INTO customer (name) VALUES ('Ada');
SELECT upper(name), length(name), substr(since, 1, 4), date(since, '+1 month') FROM customer ORDER BY id;
VACUUM;
PRAGMA integrity_check;
SELECT length(hex(randomblob(8))), datetime('now') > '2024';
