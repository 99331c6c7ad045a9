CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(40), price INT, note VARCHAR(200));
INSERT INTO goods VALUES (1, 'lamp', 10, ''), (2, 'chair', 20, ''), (3, 'desk lamp', 30, ''), (4, 'shelf', 40, '');
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(40), active INT);
INSERT INTO people VALUES (1, 'ann', 1), (2, 'bob', 1);
CREATE TABLE cards (id INT PRIMARY KEY, holder VARCHAR(40), number VARCHAR(40));
INSERT INTO cards VALUES (1, 'ann', 'card-7f3a91'), (2, 'bob', 'card-c05e22');
