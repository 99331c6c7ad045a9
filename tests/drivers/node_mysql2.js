// mysql2: text and binary protocol, several results, local files, KILL QUERY.
'use strict';
const fs = require('fs');
const { Readable } = require('stream');
const { createRequire } = require('module');
const load = createRequire(process.env.NODE_DRIVERS + '/');
const mysql = load('mysql2/promise');
const { check, refused, finish, expectRefusals } = require('./common.js');

const env = process.env;
const LARGE = 17 * 1024 * 1024;
const ENDLESS = 'SELECT count(*) FROM accounts a, accounts b, accounts c, accounts d, accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0';

const connect = () => mysql.createConnection({
  host: env.DB_HOST, port: Number(env.DB_PORT), user: env.DB_USER, password: env.DB_PASSWORD, database: env.DB_NAME,
  multipleStatements: true, charset: 'utf8mb4',
  ssl: env.DB_TLS_CA ? { ca: fs.readFileSync(env.DB_TLS_CA), verifyIdentity: false } : undefined,
  infileStreamFactory: () => Readable.from(Array.from({ length: 1000 }, (_, n) => Buffer.from(`${9200 + n}\trow ${n}\n`))),
});

async function main() {
  const client = await connect();
  const value = async (sql, values) => Object.values((await client.query(sql, values))[0][0])[0];

  await check('connect', 1, () => value('SELECT 1 AS v'));
  await check('tls', Boolean(env.DB_TLS_CA), async () => Boolean((await client.query("SHOW STATUS LIKE 'Ssl_cipher'"))[0][0].Value));
  await check('query', [1, 2, 3], async () =>
    (await client.query('SELECT id FROM accounts WHERE id <= ? ORDER BY id', [3]))[0].map((r) => r.id));
  await check('unicode', 'größe 長い 🙂', () => value('SELECT ? AS v', ['größe 長い 🙂']));
  await check('prepared', [2, 3, 4, 5], async () => {
    const out = [];
    for (const n of [1, 2, 3, 4]) out.push(Number((await client.execute('SELECT id + 1 AS v FROM accounts WHERE id = ?', [n]))[0][0].v));
    client.unprepare('SELECT id + 1 AS v FROM accounts WHERE id = ?');
    return out;
  });
  await check('multi', [1, 2, 3], async () =>
    (await client.query('SELECT 1 AS v; SELECT 2 AS v; SELECT 3 AS v'))[0].map((rows) => rows[0].v));
  // Statements that wait for each other in the driver's queue.
  await check('queued', [1, 2, 3], () => Promise.all([1, 2, 3].map((n) => value('SELECT ? AS v', [n]))));
  await check('transaction', [2, 0], async () => {
    await client.beginTransaction();
    const [done] = await client.query("INSERT INTO notes(id, body) VALUES (9501, 'a'), (9502, 'b')");
    await client.rollback();
    return [done.affectedRows, await value('SELECT count(*) AS n FROM notes WHERE id IN (9501, 9502)')];
  });
  await check('local-infile', [1000, 1000], async () => {
    await client.beginTransaction();
    const [done] = await client.query("LOAD DATA LOCAL INFILE 'given' INTO TABLE notes");
    const found = await value('SELECT count(*) AS n FROM notes WHERE id BETWEEN 9200 AND 10199');
    await client.rollback();
    return [done.affectedRows, found];
  });
  await check('large-up', LARGE, () => value('SELECT length(?) AS n', ['x'.repeat(LARGE)]));
  await check('large-down', LARGE, async () => (await value(`SELECT repeat('y', ${LARGE}) AS v`)).length);
  await check('error', [1054, 7], async () => {
    const errno = await client.query('SELECT nonesuch').catch((e) => e.errno);
    return [errno, await value('SELECT 7 AS v')];
  });
  await check('cancel', [1317, 8], async () => {
    const other = await connect();
    const endless = client.query(ENDLESS).catch((e) => e.errno);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await other.query(`KILL QUERY ${client.threadId}`);
    const errno = await endless;
    await other.end();
    return [errno, await value('SELECT 8 AS v')];
  });

  if (expectRefusals) {
    const report = (e) => [e.sqlState, e.message, e.errno];
    await refused('refused', report, () => client.query('DELETE FROM accounts'));
    await refused('refused-in-multi', report, () => client.query('SELECT 1; DELETE FROM accounts; SELECT 2'));
    await refused('refused-prepared', report, () => client.execute('UPDATE accounts SET balance = ?', [0]));
    await refused('refused-in-transaction', report, async () => {
      await client.beginTransaction();
      await client.query("INSERT INTO notes(id, body) VALUES (9503, 'kept by the transaction')");
      const refusal = await client.query('DELETE FROM accounts').catch((e) => e);
      const seen = await value('SELECT count(*) AS n FROM notes WHERE id = 9503');
      await client.rollback();
      if (seen !== 1) throw new Error('the transaction is gone');
      throw refusal;
    });
    await check('kept', [100, '100000'], async () => Object.values((await client.query('SELECT count(*) AS n, sum(balance) AS s FROM accounts'))[0][0]));
    await check('continues', 0, () => value('SELECT count(*) AS n FROM notes WHERE id = 9503'));
  }
  await client.end();
  finish();
}

main().catch((e) => {
  console.log(`FAIL connect ${e}`);
  process.exitCode = 1;
});
