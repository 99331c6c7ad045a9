//! What travels beside a text: query attributes, rows of a bulk execution, and executions of the
//! statement prepared last.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::mysql::raw::{Answer, Login, Prepared, Raw, capability};
use sqlward_tests::mysql::{Options, Product};
use sqlward_tests::server::{DATABASE, TRUSTED_USER};

use super::{Scene, nth};

#[test]
fn bulk_mariadb10() -> Result<()> {
    executes_in_bulk(Product::MariaDb10)
}

#[test]
fn bulk_mariadb11() -> Result<()> {
    executes_in_bulk(Product::MariaDb11)
}

#[test]
fn last_mariadb10() -> Result<()> {
    executes_the_last_prepared(Product::MariaDb10)
}

#[test]
fn last_mariadb11() -> Result<()> {
    executes_the_last_prepared(Product::MariaDb11)
}

fn start(scene: &Scene, capabilities: u32, extended: u32) -> Result<Raw> {
    let login = Login {
        user: TRUSTED_USER,
        database: Some(DATABASE),
        capabilities: capabilities | capability::DEPRECATE_EOF,
        authority: None,
    };
    Raw::start_extended(scene.proxy.port(), &login, extended)
}

fn prepare(raw: &mut Raw, text: &str) -> Result<Prepared> {
    let prepared = raw.prepare(text)?;
    prepared.map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// Executions of `text` in the record.
fn executions(scene: &Scene, text: &str) -> Result<Vec<Value>> {
    let all = scene.proxy.audit(&["search", "--order", "oldest"])?;
    let found = all
        .into_iter()
        .filter(|row| row["text"] == text && (row["kind"] == "execute" || row["kind"] == "simple"));
    Ok(found.collect())
}

/// The values of a record's parameters.
fn values(record: &Value) -> Result<Vec<Option<&str>>> {
    let parameters = record["parameters"].as_array();
    let parameters = parameters.with_context(|| format!("no parameters: {record}"))?;
    Ok(parameters.iter().map(|one| one["value"].as_str()).collect())
}

/// COM_STMT_BULK_EXECUTE (MariaDB, "COM_STMT_BULK_EXECUTE"): types are sent; each value has an indicator.
fn executes_in_bulk(product: Product) -> Result<()> {
    let mut scene = Scene::of(product)?;
    let mut raw = start(&scene, 0, capability::BULK_OPERATIONS)?;
    let text = "INSERT INTO notes VALUES (?, ?)";
    let insert = prepare(&mut raw, text)?;
    let mut body = insert.id.to_le_bytes().to_vec();
    body.extend([128, 0]); // with types: LONG, VAR_STRING
    body.extend([3, 0, 0xfd, 0]);
    for (id, note) in [(1_u8, Some(b"one")), (2, None), (3, Some(b"two"))] {
        body.extend([0, id, 0, 0, 0]);
        match note {
            Some(note) => body.extend([&[0, 3], &note[..]].concat()),
            None => body.push(1),
        }
    }
    raw.command(0xfa, &body)?;
    let answers = raw.answers(true, &[])?;
    ensure!(nth(&answers, 0)?.affected == 3, "{answers:?}");
    let stored = "SELECT group_concat(id, ifnull(body, '-') ORDER BY id) FROM notes";
    ensure!(raw.value(stored)? == "1one,2-,3two");
    // What is not one row after the other does not pass.
    body.truncate(body.len() - 2);
    raw.command(0xfa, &body)?;
    let torn = raw.answers(true, &[])?;
    ensure!(nth(&torn, 0)?.failure.is_some(), "{torn:?}");
    scene.proxy.stop()?;
    let records = executions(&scene, text)?;
    let record = records.first().context("not recorded")?;
    ensure!(
        record["affected"] == 3 && record["completion"] == "done",
        "{record}"
    );
    let expected =
        ["1", "one", "2", "", "3", "two"].map(|one| Some(one).filter(|one| !one.is_empty()));
    ensure!(values(record)? == expected, "{record}");
    ensure!(
        records
            .iter()
            .filter(|one| one["completion"] == "done")
            .count()
            == 1,
        "{records:?}"
    );
    Ok(())
}

/// The statement −1 is the one prepared last, and none if that was refused.
fn executes_the_last_prepared(product: Product) -> Result<()> {
    let mut scene = Scene::of(product)?;
    let mut raw = start(&scene, 0, capability::BULK_OPERATIONS)?;
    let text = "INSERT INTO notes (id) VALUES (?)";
    let insert = prepare(&mut raw, text)?;
    let last = Prepared {
        id: u32::MAX,
        ..insert
    };
    let done = raw.execute(last, &[Some("7")], false)?;
    ensure!(nth(&done, 0)?.affected == 1, "{done:?}");
    for refused in ["DELETE FROM accounts", "SELECT nonesuch"] {
        ensure!(raw.prepare(refused)?.is_err(), "{refused}");
        let executed = raw.execute(last, &[Some("8")], false)?;
        ensure!(
            nth(&executed, 0)?.failure.is_some(),
            "{refused}: {executed:?}"
        );
    }
    let done = raw.execute(insert, &[Some("9")], false)?;
    ensure!(nth(&done, 0)?.affected == 1, "{done:?}");
    ensure!(raw.value("SELECT group_concat(id ORDER BY id) FROM notes")? == "7,9");
    scene.proxy.stop()?;
    let records = executions(&scene, text)?;
    let ran = records.iter().filter(|one| one["completion"] == "done");
    let ran: Vec<Vec<Option<&str>>> = ran.map(values).collect::<Result<_>>()?;
    ensure!(ran == [[Some("7")], [Some("9")]], "{records:?}");
    Ok(())
}

/// Parameters of type VAR_STRING with names (MySQL, "COM_QUERY" and "COM_STMT_EXECUTE").
fn named(list: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0; list.len().div_ceil(8)];
    bytes.push(1);
    let put = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text.as_bytes());
    };
    for (name, _) in list {
        bytes.extend([0xfd, 0]);
        put(&mut bytes, name);
    }
    for (_, value) in list {
        put(&mut bytes, value);
    }
    bytes
}

fn query(raw: &mut Raw, text: &str, attributes: &[(&str, &str)]) -> Result<Vec<Answer>> {
    let mut body = vec![attributes.len() as u8, 1];
    if !attributes.is_empty() {
        body.extend(named(attributes));
    }
    body.extend_from_slice(text.as_bytes());
    raw.command(3, &body)?;
    raw.answers(false, &[])
}

#[test]
fn attributes_mysql() -> Result<()> {
    let mut scene = Scene::with(&Options::new(Product::MySql))?;
    let install = "INSTALL COMPONENT 'file://component_query_attributes'";
    scene.server.sql("mysql", install)?;
    let mut raw = start(&scene, capability::QUERY_ATTRIBUTES, 0)?;
    let text = "SELECT mysql_query_attribute_string('end_user')";
    let given = [("traceparent", TRACE), ("end_user", "alice")];
    let answers = query(&mut raw, text, &given)?;
    ensure!(
        nth(&answers, 0)?.first.as_deref() == Some("alice"),
        "{answers:?}"
    );
    let plain = "SELECT 5 /*end_user='bob'*/";
    ensure!(nth(&query(&mut raw, plain, &[])?, 0)?.rows == 1);
    let denied = query(&mut raw, "DELETE FROM accounts", &given)?;
    super::refused(&denied, "bounded")?;
    // An execution's attributes stand behind its own parameters.
    let prepared = "SELECT id FROM accounts WHERE owner = ?";
    let select = prepare(&mut raw, prepared)?;
    let mut body = select.id.to_le_bytes().to_vec();
    body.extend([8, 1, 0, 0, 0, 2]); // their number follows; one iteration; two
    body.extend(named(&[("", "owner 9"), ("end_user", "carol")]));
    raw.command(23, &body)?;
    let answers = raw.answers(true, &[])?;
    ensure!(nth(&answers, 0)?.rows == 1, "{answers:?}");
    scene.proxy.stop()?;

    let only = |text: &str| -> Result<Value> {
        let found = executions(&scene, text)?.into_iter().next();
        found.with_context(|| format!("{text} is not recorded"))
    };
    let trace = format!("traceparent={TRACE}");
    for (text, user, source, recorded) in [
        (
            text,
            "alice",
            "attribute",
            vec![trace.as_str(), "end_user=alice"],
        ),
        (plain, "bob", "comment", vec![]),
        (
            "DELETE FROM accounts",
            "alice",
            "attribute",
            vec![&trace, "end_user=alice"],
        ),
        (
            prepared,
            "carol",
            "attribute",
            vec!["owner 9", "end_user=carol"],
        ),
    ] {
        let record = only(text)?;
        ensure!(
            record["end_user"] == user && record["end_user_source"] == source,
            "{record}"
        );
        if recorded.is_empty() {
            ensure!(
                record["parameters"].as_array().is_none_or(Vec::is_empty),
                "{record}"
            );
        } else {
            let recorded: Vec<Option<&str>> = recorded.into_iter().map(Some).collect();
            ensure!(values(&record)? == recorded, "{record}");
        }
    }
    let id = TRACE.split('-').nth(1);
    ensure!(only(text)?["trace"].as_str() == id, "the trace is lost");
    Ok(())
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
