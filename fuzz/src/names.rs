//! What people write for the client: image references, its files, Dockerfiles. What is shown of it means the same again.
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use touchmark::config::{Config, ServerUrl, docker};
use touchmark::doors;
use touchmark::image::{Host, Image};
use touchmark::reader::pins::Pins;
use touchmark::source::Source;
use touchmark_tuf::{Gun, KeyId};

use crate::Input;
use crate::place::with_folder;

/// The first byte says as what the rest is read.
pub fn names(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    match kind % 8 {
        0 | 1 => image(text),
        2 => server(text),
        3 => with_folder(|folder| config(folder, text)),
        4 => with_folder(|folder| pins(folder, text)),
        5 => with_folder(|folder| credentials(folder, text)),
        6 => file(text),
        _ => drop(text.parse::<Source>()),
    }
}

fn image(text: &str) {
    let Ok(image) = text.parse::<Image>() else { return };
    let again: Image = image.to_string().parse().expect("what is shown can be typed");
    assert_eq!(again, image, "shown as {image}");
    let name: Image = image.familiar().parse().expect("a familiar name is a name");
    assert_eq!(name.gun(), image.gun());
    let full: Image = image.gun().as_str().parse().expect("a full name is a name");
    assert_eq!(full.gun(), image.gun());
    assert_eq!(format!("{}/{}", image.host(), image.repository()), image.gun().as_str());
    let host: Host = image.host().as_str().parse().expect("a host stays one");
    assert_eq!(&host, image.host());
    assert!(!image.host().endpoint().contains(['/', '@', '?', '#', ' ']));
}

fn server(text: &str) {
    let Ok(server) = text.parse::<ServerUrl>() else { return };
    let shown = server.to_string();
    let authority = shown.strip_prefix("https://").expect("https alone").split('/').next().unwrap();
    assert!(!authority.contains('@') && !shown.contains(['?', '#']), "{shown}");
    assert_eq!(shown.parse::<ServerUrl>().expect("what is shown can be typed").to_string(), shown);
    let below = server.join("v2/docker.io/library/alpine/_trust/tuf/root.json");
    assert_eq!(below.scheme(), "https");
    assert_eq!(below.host_str(), server.join("").host_str());
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}

fn config(folder: &Path, text: &str) {
    let Ok(config) = Config::load(&written(folder, "touchmark.toml", text)) else { return };
    for host in ["docker.io", "registry.example.com", "localhost:5000"] {
        let server = config.trust_server(None, &host.parse().unwrap()).expect("every registry has one");
        assert!(server.to_string().starts_with("https://"));
    }
}

fn pins(folder: &Path, text: &str) {
    let file = written(folder, "pins.toml", text);
    let Ok(mut pins) = Pins::load(&file) else { return };
    let guns = ["registry.example.com/team/app", "registry.example.com/other/x", "docker.io/library/alpine"];
    let guns = guns.map(|gun| gun.parse::<Gun>().unwrap());
    let found = |pins: &Pins| guns.clone().map(|gun| pins.of(&gun).map(<[KeyId]>::to_vec));
    let before = found(&pins);
    assert!(before.iter().flatten().all(|ids| !ids.is_empty()), "no pin that anything fits");
    let new: Gun = "registry.example.com/new".parse().unwrap();
    pins.set(&new, vec![KeyId::from_bytes([7; 32])]).expect("what was read can be written");
    let again = Pins::load(&file).expect("what is written can be read");
    assert_eq!(found(&again), before);
    assert_eq!(again.of(&new), Some([KeyId::from_bytes([7; 32])].as_slice()));
    assert_eq!(again.first_use(), pins.first_use());
}

fn credentials(folder: &Path, text: &str) {
    // A helper is a program: none is to be started here.
    if text.contains("cred") || text.contains("\\u") {
        return;
    }
    written(folder, "config.json", text);
    if let Err(error) = docker::credentials(folder, "registry.example.com") {
        assert!(error.to_string().starts_with("credentials for registry.example.com: "), "{error}");
    }
}

fn file(text: &str) {
    for places in [doors::dockerfile(text), doors::compose(text)] {
        let mut end = 0;
        for Range { start, end: next } in places {
            assert!(start >= end && next >= start, "places in order");
            let image = text.get(start..next).expect("whole characters");
            assert!(!image.contains('\n'));
            end = next;
        }
    }
}
