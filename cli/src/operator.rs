//! Who acts at the command line.

use std::fs;

/// The user of the operating system who runs this program: the name that `/etc/passwd` has for it, or its number.
pub(crate) fn name() -> String {
    let number = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("uid {number}"))
}
