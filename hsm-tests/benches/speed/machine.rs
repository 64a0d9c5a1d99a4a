//! What the figures were measured on.

use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::home::Docker;

/// The machine and the peers, in one line without a date.
pub(crate) fn line() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = read("/etc/os-release");
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let mut versions = vec![first_line(&Cli::new(shipped("touchmark")).arg("--version"))];
    versions.push(first_line(&Cli::new(tool("ssh")).arg("-V")));
    versions.push(format!("SoftHSM {}", first_line(&Cli::new(tool("softhsm2-util")).arg("--version"))));
    versions.push(format!("notary {}", package("notary")));
    versions.push(first_line(&Cli::new(Docker::all()[0].program()).arg("--version")));
    format!(
        "{} ({cores} cores), Linux {}, {}; {}",
        model.unwrap_or(std::env::consts::ARCH),
        read("/proc/sys/kernel/osrelease").trim(),
        system.trim_matches('"'),
        versions.join("; ")
    )
}

/// `ssh -V` says it on stderr.
fn first_line(cli: &Cli) -> String {
    let said = cli.clone().merged().ok().stdout;
    said.lines().next().unwrap_or_default().trim().to_owned()
}

/// Notary's programs have no version in them as Debian builds them.
fn package(name: &str) -> String {
    Cli::new(tool("dpkg-query")).args(["-W", "-f", "${Version}", name]).run().stdout
}
