//! A trust directory that cannot be written: the answer comes all the same, what was there stays whole.

use std::path::Path;
use std::process::Command;

use hsm_tests::cli::tool;
use hsm_tests::soak;

use crate::world::World;

/// A small file system of its own; None where this cannot be had.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mount =
            Command::new(tool("mount")).args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder).output();
        let output = mount.unwrap();
        if output.status.success() {
            return Some(Self(folder));
        }
        soak::say(&format!("SKIPPED: a full disk: {}", String::from_utf8_lossy(&output.stderr)));
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let status = Command::new(tool("mount")).args(["-o", &options]).arg(self.0).status().unwrap();
        assert!(status.success());
    }

    fn fill(&self) {
        std::fs::write(self.0.join("filler"), vec![0; 1 << 20]).unwrap_err();
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        Command::new(tool("umount")).arg("-l").arg(self.0).status().unwrap();
    }
}

fn whole(world: &World, app: &str) {
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let kept = std::fs::read(world.home.trust().join(format!("tuf/{app}/metadata/{role}.json"))).unwrap();
        serde_json::from_slice::<serde_json::Value>(&kept).unwrap_or_else(|why| panic!("{role}: {why}"));
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_under_the_trust_directory_lose_no_answer_and_no_signature() {
    let (world, app) = World::with("app");
    let trust = world.home.trust();
    std::fs::remove_dir_all(&trust).unwrap();
    let Some(disk) = Disk::mount(&trust) else { return };
    let [one, two] = ["1", "2"].map(|tag| format!("{app}:{tag}"));
    world.touchmark(&["verify", &one]).ok();
    disk.fill();
    // Signed and published; what could not be remembered is said.
    world.touchmark(&["sign", &two]).ok().says("Successfully signed").says("No space left");
    assert_eq!(world.tags(&app), ["1", "2"]);
    world.touchmark(&["verify", &two]).ok().says("No space left");
    whole(&world, &app);
    std::fs::remove_file(trust.join("filler")).unwrap();
    disk.remount("ro");
    world.push("app", "3");
    world.touchmark(&["sign", &format!("{app}:3")]).ok().says("Read-only file system");
    world.touchmark(&["verify", &format!("{app}:3")]).ok().says("Read-only file system");
    world
        .touchmark(&["--format", "json", "trust", "forget", &app])
        .run()
        .exits(2)
        .says("Read-only file system");
    whole(&world, &app);
    disk.remount("rw");
    world.touchmark(&["verify", &format!("{app}:3")]).ok().says_nothing_of("warning");
    whole(&world, &app);
}
