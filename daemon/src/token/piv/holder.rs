//! Who else uses the PC/SC service on this machine, and so may have the card.

use std::path::{Path, PathBuf};

/// What every client of the service has loaded.
const LIBRARY: &str = "libpcsclite";
/// The service itself.
const SERVICE: &str = "pcscd";
/// Programs that keep a card. Of another user's processes no more than the name can be seen.
const KNOWN: [&str; 3] = ["scdaemon", "yubikey-agent", "opensc-notify"];

/// That somebody has the card for itself alone: who that may be, or how to find out.
pub(super) fn words() -> String {
    let others = others(Path::new("/proc"));
    if others.is_empty() {
        return "another program has the card for itself alone (often scdaemon of GnuPG: gpgconf --kill scdaemon); \
                `sudo grep -l libpcsclite /proc/[0-9]*/maps` lists the programs that may"
            .to_owned();
    }
    format!("another program has the card for itself alone: end {}", others.join(" or "))
}

/// Other programs that use the service: `NAME (process ID)`.
fn others(proc: &Path) -> Vec<String> {
    let ours = program(&proc.join("self"));
    let Ok(processes) = std::fs::read_dir(proc) else { return Vec::new() };
    let mut found: Vec<(u32, String)> = processes
        .filter_map(|process| {
            let process = process.ok()?;
            let id: u32 = process.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?.trim_end().to_owned();
            let same = ours.is_some() && program(&process.path()) == ours;
            let may = match std::fs::read(process.path().join("maps")) {
                Ok(maps) if !maps.is_empty() => has(&maps, LIBRARY.as_bytes()),
                Ok(_) | Err(_) => KNOWN.contains(&name.as_str()),
            };
            (may && !same && name != SERVICE).then_some((id, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(id, name)| format!("{name} (process {id})")).collect()
}

/// The file that a process runs, where that may be seen.
fn program(process: &Path) -> Option<PathBuf> {
    std::fs::read_link(process.join("exe")).ok()
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests;
