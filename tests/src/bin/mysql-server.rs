//! A throw-away MySQL or MariaDB server with the tests' fixture, for looking into things by hand.
//!
//! `mysql-server mariadb-10.11|mariadb-11.8|mysql-9 [tls] [record] [NAME=VALUE…]`: prints its port,
//! folder and users, and serves until its standard input ends.

use std::io::Read;

use anyhow::{Context, Result};
use sqlward_tests::mysql::{Options, Product, Record, Server};
use sqlward_tests::server::PASSWORD;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let product = Product::named(&name).with_context(|| format!("no product `{name}`"))?;
    let mut options = Options::new(product);
    for argument in arguments {
        match argument.as_str() {
            "tls" => options.tls = true,
            "record" => options.record = Record::File,
            _ => options.settings.push(argument),
        }
    }
    let server = Server::start(&options)?;
    println!("port {}", server.port());
    println!("folder {}", server.folder().display());
    for login in product.logins() {
        println!("user {} {} {PASSWORD}", login.user, login.plugin);
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
