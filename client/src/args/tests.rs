use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definition_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn every_argument_of_every_verb_has_a_help_text() {
    fn walk(command: &clap::Command, path: &str) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            assert!(sub.get_about().is_some(), "{path}");
            walk(sub, &path);
        }
    }
    walk(&Args::command(), "touchmark");
}

#[test]
fn a_digest_to_sign_needs_its_size() {
    let digest = "--digest=sha256:0000000000000000000000000000000000000000000000000000000000000000";
    assert!(Args::try_parse_from(["touchmark", "sign", "a:1", digest]).is_err());
    assert!(Args::try_parse_from(["touchmark", "sign", "a:1", digest, "--size=5"]).is_ok());
}

#[test]
fn no_verb_takes_a_pin_as_a_value() {
    assert!(Args::try_parse_from(["touchmark", "unlock", "--pin=123456"]).is_err());
    assert!(Args::try_parse_from(["touchmark", "unlock", "--pin-stdin"]).is_ok());
}
