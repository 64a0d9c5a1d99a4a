//! A configuration that cannot be meant, and a socket that is taken: the daemon does not start, and says why.

use std::os::unix::fs::PermissionsExt;

use hsm_tests::cli::{Cli, Ran, shipped};
use hsm_tests::daemon::Daemon;
use hsm_tests::place::Place;

fn touchmarkd(place: &Place, command: &str, config: &str) -> Ran {
    let file = place.join("touchmarkd.toml");
    std::fs::write(&file, config).unwrap();
    let cli = Cli::new(shipped("touchmarkd")).folder(place.path()).env("HOME", place.path());
    cli.args([command, "--config"]).arg(file).run()
}

#[test]
fn a_wrong_configuration_is_refused_by_check_and_by_run_with_its_line() {
    let place = Place::new();
    let good =
        |more: &str| format!("socket = \"{0}/run/s\"\nstate = \"{0}/state\"\n{more}", place.path().display());
    let nobody = "`nobody` cannot reach the socket: without socket-group its folder is 0700; write socket-group = \
                  \"GROUP\" with a group that `nobody` is in";
    let allow = |user: &str| {
        good(&format!("[[allow]]\nuser = \"{user}\"\nrepositories = [\"**\"]\nactions = [\"sign\"]\n"))
    };
    let rows = [
        (
            good("sokcet = \"/x/y\"\n"),
            "line 3: unknown field `sokcet`, expected one of `socket`, `socket-group`, `state`",
        ),
        ("socket = \"run/s\"\n".to_owned(), "line 1, socket: `run/s` is a relative path; write it from / on"),
        (good("socket = \"/a/b\"\n"), "line 3: duplicate key"),
        (allow("nobody"), nobody),
        (allow("no-such-user"), "line 4, allow.user: there is no user `no-such-user` on this machine"),
        (good("[[allow]]\nuser = \"root\"\nactions = [\"sign\"]\n"), "missing field `repositories`"),
        (good("lock-after = 8\n"), "line 3"),
        ("socket = \"/run/tm/s".to_owned(), "line 1"),
    ];
    for (config, wanted) in rows {
        for command in ["check", "run"] {
            touchmarkd(&place, command, &config)
                .exits(2)
                .says("touchmarkd.toml")
                .says(wanted)
                .says_nothing_of("panicked");
        }
    }
    assert!(!place.join("state").exists() && !place.join("run").exists(), "nothing was made");
    for command in ["check", "run"] {
        let cli = Cli::new(shipped("touchmarkd")).args([command, "--config", "/nowhere/touchmarkd.toml"]);
        drop(cli.run().exits(2).says("/nowhere/touchmarkd.toml"));
    }
}

#[test]
fn a_socket_folder_that_others_can_write_is_not_used() {
    let place = Place::new();
    let folder = place.folder("run");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let config = format!("socket = \"{0}/run/s\"\nstate = \"{0}/state\"\n", place.path().display());
    let next = format!("{0} has mode 0777; type: chmod 0700 {0}", folder.display());
    for command in ["check", "run"] {
        drop(touchmarkd(&place, command, &config).exits(1).says(&next));
    }
    assert!(!place.join("state").exists(), "nothing was made");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    touchmarkd(&place, "check", &config).exits(0);
}

#[test]
fn a_second_daemon_on_one_socket_leaves_the_first_alone() {
    let daemon = Daemon::with_config(|folder, socket| {
        format!("socket = {socket:?}\nstate = {:?}\n", folder.join("state"))
    });
    let file = daemon.folder().join("touchmarkd.toml");
    let cli =
        Cli::new(shipped("touchmarkd")).env("HOME", daemon.folder()).args(["run", "--config"]).arg(&file);
    let ran = cli.run().exits(1);
    drop(ran.says(&daemon.socket().display().to_string()).says("a daemon serves"));
    // The same state behind another socket.
    let other = daemon.folder().join("other.toml");
    std::fs::create_dir(daemon.folder().join("run2")).unwrap();
    std::fs::set_permissions(daemon.folder().join("run2"), PermissionsExt::from_mode(0o700)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("/run/", "/run2/");
    std::fs::write(&other, text).unwrap();
    let cli =
        Cli::new(shipped("touchmarkd")).env("HOME", daemon.folder()).args(["run", "--config"]).arg(&other);
    let ran = cli.run().exits(1);
    drop(ran.says("state"));
    let touchmark = Cli::new(shipped("touchmark")).env("HOME", daemon.folder());
    touchmark.arg("--socket").arg(daemon.socket()).arg("status").ok();
}
