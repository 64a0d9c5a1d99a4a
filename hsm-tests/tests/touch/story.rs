//! Docker's content-trust tutorial with the root key on a YubiKey: made there, touched for, believed by Docker's own CLI,
//! and nowhere else.

use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::images::Image;
use hsm_tests::registry::Registry;
use hsm_tests::scan::{self, Needles};
use hsm_tests::terminal::Terminal;

use crate::stage::{SERIAL, Stage, TOKEN};

#[test]
fn a_root_key_on_a_yubikey_signs_a_first_image_after_a_touch_and_docker_pulls_it() {
    let Some(engine) = Engine::start() else { return };
    let (mut stage, root) = Stage::with_root();
    let registry = Registry::start();
    let image = format!("{}/icho/alpine:trusted", registry.host());
    let name = image.rsplit_once(':').unwrap().0;
    stage.home.set("DOCKER_HOST", &engine.host());
    let docker = Docker::all().remove(0);
    let archive = stage.home.path().join("image.tar");
    Image::saying("trusted").save(&archive, &image);
    stage.home.docker(&docker).args(["load", "-i"]).arg(&archive).ok();

    let mut terminal = Terminal::start(&stage.touchmark(&["push", &image]));
    terminal.wait_for(&format!("Touch YubiKey {SERIAL} to make the root certificate of {name}."));
    stage.card().touch();
    terminal.wait_for(&format!("Touch YubiKey {SERIAL} to sign root v1 of {name} ("));
    stage.card().touch();
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Successfully signed"), "{shown}");

    stage.home.docker(&docker).args(["rmi", "-f", &image]).ok();
    let mut reader = Home::new();
    reader.use_notary(&stage.notary);
    reader.set("DOCKER_HOST", &engine.host());
    reader.trusting_docker(&docker).args(["pull", &image]).ok().says("Pull (1 of 1): ");

    let secret = stage.pcscd.reader().look(|card| card.secret_in(0x9c)).expect("the root key in its slot");
    let needles = Needles::default().named_key("the root key", &secret);
    for folder in [stage.daemon.folder(), stage.home.path(), reader.path()] {
        scan::tree(folder, &needles).assert_clean("after the first push");
    }
    // The scan finds what is there to find.
    std::fs::write(stage.home.path().join("leaked"), secret).unwrap();
    assert!(!scan::tree(stage.home.path(), &needles).exposed.is_empty());

    let key = stage.touchmark(&["token", "info", TOKEN]).ok();
    key.says(&root[..12]).says("touch always");
}
