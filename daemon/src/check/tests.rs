use std::path::Path;

use super::*;
use crate::config::{Surroundings, SystemAccounts};

#[test]
fn the_report_says_what_is_meant() {
    let text = "socket = \"/run/tm/s\"\nstate = \"/var/lib/tm\"\nlock-after = \"never\"\n\
                [[token]]\nname = \"root\"\nkind = \"pkcs11\"\nmodule = \"/no/such.so\"\ntoken-label = \"t\"\n\
                [[allow]]\nuser = \"root\"\nrepositories = [\"a/*\"]\nactions = [\"sign\"]\n";
    let surroundings = Surroundings { uid: 0, ..Surroundings::default() };
    let config = Config::parse(text, Some(Path::new("/etc/t.toml")), &surroundings, &SystemAccounts).unwrap();
    let report = report(&config, &crate::harden::process());
    let line = |name: &str| {
        let found = report.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("{name} in {report}")).split_once(name).unwrap().1.trim().to_owned()
    };
    assert_eq!(line("configuration"), "/etc/t.toml");
    assert_eq!(line("lock-after"), "never");
    assert_eq!(line("unlock-at-most"), "1d");
    assert_eq!(line("token root"), "label \"t\", /no/such.so (there is no such file), pin ask");
    assert_eq!(line("allow user root"), "sign in a/*, tags all");
    assert_eq!(line("no core dumps"), "yes");
    assert!(line("locked memory").contains("at most"), "{report}");
}
