//! ClickHouse's engine as a server of its own, for tests: `clickhouse-server LIBRARY DIR HTTP_PORT TCP_PORT`.
//!
//! The library is chDB's: the engine with its own HTTP and TCP handlers, without Keeper, HTTPS and access control. It
//! serves on 127.0.0.1 for as long as somebody holds this program's standard input open.
#![allow(unsafe_code, reason = "a C function of a library")]

use std::ffi::{CString, c_char, c_int};

use anyhow::{Context, Result, ensure};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

/// `int chdb_query_cmdline(int argc, char **argv)`, simplified: what it returns is freed with the process.
type Cmdline = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut std::ffi::c_void;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, dir, http, tcp] = arguments.as_slice() else {
        anyhow::bail!("usage: clickhouse-server LIBRARY DIR HTTP_PORT TCP_PORT");
    };
    let query = "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; \
                 SELECT count() FROM file('/dev/stdin', LineAsString) FORMAT Null";
    let line = [
        "clickhouse".to_owned(),
        "--multiquery".to_owned(),
        format!("--path={dir}"),
        "--listen_host=127.0.0.1".to_owned(),
        format!("--query={query}"),
        "--".to_owned(),
        format!("--http_port={http}"),
        format!("--tcp_port={tcp}"),
    ];
    let line: Vec<CString> = line
        .into_iter()
        .map(CString::new)
        .collect::<Result<_, _>>()
        .context("an argument holds a zero byte")?;
    let mut pointers: Vec<*mut c_char> = line.iter().map(|text| text.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len())?;
    pointers.push(std::ptr::null_mut());
    // SAFETY: the library's initialisers are ClickHouse's own; nothing else has been loaded before.
    let library = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) }
        .with_context(|| format!("load `{library}`"))?;
    // SAFETY: the type is that of the function in chdb.h.
    let serve = unsafe { library.get::<Cmdline>(b"chdb_query_cmdline\0") }?;
    // SAFETY: `pointers` is a C argument vector that outlives the call, its strings too.
    let ended = unsafe { serve(count, pointers.as_mut_ptr()) };
    ensure!(!ended.is_null(), "the engine did not start");
    // No destructors: the engine's threads have none to wait for.
    std::process::exit(0)
}
