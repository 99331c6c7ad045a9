SET password_encryption = 'scram-sha-256';

CREATE ROLE app_scram LOGIN PASSWORD 'correct horse battery staple';

CREATE ROLE app_clear LOGIN PASSWORD 'correct horse battery staple';

SET password_encryption = 'md5';

CREATE ROLE app_md5 LOGIN PASSWORD 'correct horse battery staple';

CREATE ROLE app_trusted LOGIN REPLICATION;

CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance int NOT NULL);

INSERT INTO accounts SELECT g, 'owner ' || g, 1000 FROM generate_series(1, 100) g;

CREATE TABLE notes (id int PRIMARY KEY, body text);

CREATE TABLE users (id int PRIMARY KEY, name text);

INSERT INTO users VALUES (1, 'ann');

CREATE TABLE secret (v text);

INSERT INTO secret VALUES ('marker');

GRANT ALL ON ALL TABLES IN SCHEMA public TO app_scram, app_clear, app_md5, app_trusted;

GRANT ALL ON SCHEMA public TO app_scram, app_clear, app_md5, app_trusted;

