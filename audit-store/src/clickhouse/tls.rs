//! HTTPS towards a server: its certificate must be good for its name, by authorities that are named or the web's.

use std::path::Path;
use std::sync::Arc;

use clickhouse::Client;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::link::ClickHouseError;
use super::target::Target;

/// A client that reaches the target as its address says.
pub(super) fn client(target: &Target) -> Result<Client, ClickHouseError> {
    if !target.is_secure() {
        return Ok(Client::default());
    }
    let mut roots = RootCertStore::empty();
    match &target.authorities {
        Some(path) => add(&mut roots, path).map_err(|what| ClickHouseError::Authorities {
            path: path.display().to_string(),
            what,
        })?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClickHouseError::Runtime(std::io::Error::other(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::with_http_client(
        HttpClient::builder(TokioExecutor::new()).build(connector),
    ))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(())
}
