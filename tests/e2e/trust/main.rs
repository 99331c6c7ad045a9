//! Policies that can be trusted before they block anything: recorded traffic of real sessions, judged once more.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON without the field is null, which no assertion expects"
)]

mod learn;
mod replay;
mod versions;

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::paths;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::{self, Server};

/// Runs `sqlward` to its end.
fn sqlward(arguments: &[&str]) -> Result<Output> {
    Command::new(paths::sqlward()?)
        .args(arguments)
        .output()
        .context("sqlward")
}

/// What `sqlward` prints; it must succeed.
fn printed(arguments: &[&str]) -> Result<String> {
    let output = sqlward(arguments)?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{arguments:?}: {out}{err}");
    Ok(out)
}

/// The JSON that `sqlward` prints; it must succeed.
fn json(arguments: &[&str]) -> Result<Value> {
    let out = printed(arguments)?;
    serde_json::from_str(&out).with_context(|| out)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is no UTF-8")
}

/// A PostgreSQL server and the proxy in front of it.
fn postgres(policy: &str) -> Result<(Server, Proxy)> {
    let server = Server::start(&server::Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(policy.to_owned()),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

/// A MySQL or MariaDB server and the proxy in front of it.
fn mysql(product: Product, policy: &str) -> Result<(mysql::Server, Proxy)> {
    let server = mysql::Server::start(&mysql::Options::new(product))?;
    let options = proxy::Options {
        policy: Policy::Text(policy.to_owned()),
        ..Default::default()
    };
    let proxy = Proxy::before(&server, &options)?;
    Ok((server, proxy))
}

/// Makes a proxy's configuration name the policy that `policy apply` keeps in its data folder.
fn managed(proxy: &Proxy) -> Result<()> {
    let (file, path) = (proxy.config_file(), proxy.policy_file());
    let config = std::fs::read_to_string(&file)?;
    let current = proxy.data().join("policy/current");
    let changed = config.replace(text(&path)?, text(&current)?);
    ensure!(changed != config, "{config}");
    Ok(std::fs::write(&file, changed)?)
}
