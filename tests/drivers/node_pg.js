// node-postgres: simple and extended protocol, named statements, cursors, COPY streams, cancel.
'use strict';
const fs = require('fs');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const { createRequire } = require('module');
const load = createRequire(process.env.NODE_DRIVERS + '/');
const { Client } = load('pg');
const Cursor = load('pg-cursor');
const copy = load('pg-copy-streams');

const { check, refused: refusedWith, finish, expectRefusals } = require('./common.js');

const refused = (name, action) => refusedWith(name, (e) => [e.code, e.message, e.detail, e.hint], action);

function settings() {
  if ((process.env.PGSSLMODE || 'disable') === 'disable') return { ssl: false };
  const ca = fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8');
  return { ssl: { ca, checkServerIdentity: () => undefined } };
}

async function main() {
  // The URL-less form reads PGHOST and its kin; PGSSLMODE is given by hand.
  const options = { ...settings(), enableChannelBinding: false, application_name: 'node-pg' };
  const client = new Client(options);
  await client.connect();
  const value = async (text, values) => Object.values((await client.query(text, values)).rows[0])[0];

  await check('connect', 1, () => value('SELECT 1'));
  await check('query', [1, 2, 3], async () =>
    (await client.query('SELECT g FROM generate_series(1, $1::int) g', [3])).rows.map((r) => r.g));
  await check('prepared', [1, 2, 3], async () => {
    const out = [];
    for (const n of [0, 1, 2]) {
      out.push((await client.query({ name: 'next', text: 'SELECT $1::int + 1 AS v', values: [n] })).rows[0].v);
    }
    return out;
  });
  await check('transaction', '0', async () => {
    await client.query('BEGIN');
    await client.query('INSERT INTO notes(id, body) VALUES ($1, $2)', [9501, 'node']);
    await client.query('ROLLBACK');
    return value('SELECT count(*) FROM notes WHERE id = 9501');
  });
  await check('queued', [1, 2, 3], async () =>
    Promise.all([1, 2, 3].map((n) => value('SELECT $1::int', [n]))));
  await check('copy-in', '1000', async () => {
    await client.query('BEGIN');
    const rows = Array.from({ length: 1000 }, (_, n) => `${20000 + n}\trow\n`);
    await pipeline(Readable.from(rows), client.query(copy.from('COPY notes(id, body) FROM STDIN')));
    const n = await value('SELECT count(*) FROM notes WHERE id BETWEEN 20000 AND 20999');
    await client.query('ROLLBACK');
    return n;
  });
  await check('copy-out', 5000, async () => {
    let lines = 0;
    const stream = client.query(copy.to('COPY (SELECT g FROM generate_series(1, 5000) g) TO STDOUT'));
    for await (const chunk of stream) for (const byte of chunk) if (byte === 10) lines += 1;
    return lines;
  });
  await check('cursor', 500500, async () => {
    const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [1000]));
    let sum = 0;
    for (;;) {
      const rows = await cursor.read(64); // a row-limited Execute
      if (rows.length === 0) break;
      for (const row of rows) sum += row.g;
    }
    await cursor.close();
    return sum;
  });
  await check('error', ['42703', 7], async () => {
    const code = await client.query('SELECT nonesuch').catch((e) => e.code);
    return [code, await value('SELECT 7')];
  });
  await check('cancel', ['57014', 8], async () => {
    const sleeping = client.query('SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b').catch((e) => e.code);
    const canceller = new Client(options);
    setTimeout(() => canceller.cancel(client, client.activeQuery || client._activeQuery), 500);
    return [await sleeping, await value('SELECT 8')];
  });

  if (expectRefusals) {
    await refused('refused', () => client.query('DELETE FROM accounts'));
    await refused('refused-prepared', () => client.query('UPDATE accounts SET balance = $1', [0]));
    await refused('refused-in-transaction', async () => {
      await client.query('BEGIN');
      await client.query("INSERT INTO notes(id, body) VALUES (9502, 'kept out')");
      const refusal = await client.query('DELETE FROM accounts').catch((e) => e);
      const next = await client.query('SELECT 1').catch((e) => e.code);
      await client.query('ROLLBACK');
      if (next !== '25P02') throw new Error('the transaction did not fail');
      throw refusal;
    });
    await check('kept', '100', () => value('SELECT count(*) FROM accounts'));
    await check('continues', '0', () => value('SELECT count(*) FROM notes WHERE id = 9502'));
  }
  await client.end();
  finish();
}

main().catch((e) => {
  console.log(`FAIL connect ${e}`);
  process.exitCode = 1;
});
