//! Every authentication plugin of the servers, through the products' own command-line clients, with TLS and without.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use sqlward_tests::mysql::{Options, Product};
use sqlward_tests::server::PASSWORD;

use super::{Scene, for_each_product};

for_each_product![logs_in_by_every_plugin];

/// Runs SQL with the product's own client.
fn client(scene: &Scene, user: &str, password: &str, tls: bool, sql: &str) -> Result<Output> {
    let product = scene.server.product();
    let mut command = Command::new(product.client());
    command.args([
        "--no-defaults",
        "--protocol=tcp",
        "--host=127.0.0.1",
        "--batch",
    ]);
    command.args(["--skip-column-names", "--user", user, "--database=app"]);
    command.arg(format!("--port={}", scene.proxy.port()));
    command.arg(format!("--password={password}"));
    if product.is_mariadb() {
        let plugins = product.base().join(format!(
            "lib/{}-linux-gnu/libmariadb3/plugin",
            std::env::consts::ARCH
        ));
        command.arg(format!("--plugin-dir={}", plugins.display()));
        command.arg(if tls { "--ssl" } else { "--skip-ssl" });
        if tls {
            let authority = &scene.proxy.certificates().authority;
            command.arg(format!("--ssl-ca={}", authority.display()));
        }
    } else if tls {
        let authority = &scene.proxy.certificates().authority;
        command.arg("--ssl-mode=VERIFY_CA");
        command.arg(format!("--ssl-ca={}", authority.display()));
    } else {
        command.args(["--ssl-mode=DISABLED", "--get-server-public-key"]);
    }
    command.args(["--execute", sql]);
    Ok(command.output()?)
}

fn logs_in_by_every_plugin(product: Product) -> Result<()> {
    let mut scene = Scene::with(&Options {
        tls: true,
        ..Options::new(product)
    })?;
    let mut expected = Vec::new();
    for login in product.logins().iter().filter(|login| login.over_tcp()) {
        for tls in [false, true] {
            let output = client(&scene, login.user, PASSWORD, tls, "SELECT current_user()")?;
            let shown = format!("{} tls={tls}: {output:?}", login.user);
            ensure!(output.status.success(), "{shown}");
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(said.starts_with(login.user), "{shown}");
            let wrong = client(&scene, login.user, "wrong", tls, "SELECT 1")?;
            let said = String::from_utf8_lossy(&wrong.stderr);
            ensure!(said.contains("1045"), "{said}");
            expected.push((login.user, login.plugin, tls));
        }
    }
    scene.proxy.stop()?;
    let sessions = scene.proxy.audit(&["sql", "SELECT * FROM sessions"])?;
    for (user, plugin, tls) in expected {
        let found = sessions.iter().any(|session| {
            session["user"] == user
                && session["auth_method"] == plugin
                && session["tls_version"].is_string() == tls
        });
        ensure!(found, "{user} {plugin} tls={tls}: {sessions:?}");
    }
    let failed = sessions
        .iter()
        .filter(|session| session["cause"] == "auth-failed");
    ensure!(
        failed.clone().count() >= product.logins().len(),
        "{sessions:?}"
    );
    // MariaDB's client, too, calls itself by the old name.
    let mut applications = sessions.iter().map(|session| &session["application"]);
    ensure!(applications.any(|name| name == "mysql"), "{sessions:?}");
    Ok(())
}
