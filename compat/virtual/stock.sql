-- 2,000 articles in 5 warehouses (sample data), by a rule.
CREATE TABLE stock (sku VARCHAR(10) NOT NULL, warehouse VARCHAR(40) NOT NULL, quantity INTEGER, price DECIMAL(12,2), note TEXT,
  active BOOLEAN, counted_at DATETIME, due DATE, class CHAR(1), title TEXT, keeper TEXT, item_no INTEGER, PRIMARY KEY (sku, warehouse));
CREATE TABLE items (item_no INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
INSERT INTO items SELECT i, 'Item ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
INSERT INTO stock SELECT printf('SKU-%06d', i / 5),
  CASE i % 5 WHEN 0 THEN 'Köln' WHEN 1 THEN 'London' WHEN 2 THEN '100% Hub' WHEN 3 THEN 'O''Hare' ELSE 'São Paulo' END,
  CASE WHEN i % 17 = 0 THEN NULL ELSE i * 7919 % 506 - 5 END, (i * 104729 % 10007) / 100.0,
  CASE i * 31 % 7 WHEN 0 THEN NULL WHEN 1 THEN 'fragile' WHEN 2 THEN '50% off' WHEN 3 THEN 'a_b' WHEN 4 THEN 'it''s' ELSE 'Größe 4' END,
  CASE i % 3 WHEN 0 THEN 0 WHEN 1 THEN 1 END, printf('2026-%02d-%02d %02d:00:00', i % 12 + 1, i % 28 + 1, i % 24),
  printf('2026-%02d-15', i % 12 + 1), substr('FSD', i % 3 + 1, 1), '  Title  ' || (i % 50) || ' ', '(sample) keeper', i % 200 FROM n;
