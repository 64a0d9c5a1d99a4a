use super::*;

fn id(byte: u8) -> KeyId {
    KeyId::from_bytes([byte; 32])
}

fn loaded(text: &str) -> Result<Pins, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pins.toml");
    fs::write(&file, text).unwrap();
    Pins::load(&file)
}

fn gun(text: &str) -> Gun {
    text.parse().unwrap()
}

#[test]
fn the_own_entry_wins_then_the_longest_prefix() {
    let text = format!(
        "[roots]\n\"a/b/c\" = [\"{}\"]\n\"a/*\" = [\"{}\"]\n\"a/b/*\" = [\"{}\"]\n",
        id(1),
        id(2),
        id(3)
    );
    let pins = loaded(&text).unwrap();
    for (name, wanted) in
        [("a/b/c", Some(id(1))), ("a/b/d", Some(id(3))), ("a/c", Some(id(2))), ("b/c", None)]
    {
        assert_eq!(pins.of(&gun(name)), wanted.as_ref().map(std::slice::from_ref), "{name}");
    }
    assert_eq!(pins.first_use(), FirstUse::Accept);
}

#[test]
fn a_wrong_entry_is_named() {
    for (text, part) in [
        ("[roots]\n\"a/b\" = [\"12\"]\n", "roots.\"a/b\""),
        ("[roots]\n\"a/b\" = []\n", "no key id"),
        ("[roots]\n\"a//b\" = []\n", "roots.\"a//b\""),
        ("[rots]\n", "rots"),
        ("first-use = \"maybe\"\n", "first-use"),
    ] {
        let error = loaded(text).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.message.contains(part), "{text}: {}", error.message);
    }
}

#[test]
fn a_pin_that_is_set_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/pins.toml");
    let mut pins = Pins::load_if_there(&file).unwrap();
    pins.set(&gun("localhost:5000/a"), vec![id(7), id(8)]).unwrap();
    pins.set(&gun("a.b/c"), vec![id(9)]).unwrap();
    let again = Pins::load(&file).unwrap();
    assert_eq!(again.of(&gun("localhost:5000/a")), Some([id(7), id(8)].as_slice()));
    assert_eq!(again.of(&gun("a.b/c")), Some([id(9)].as_slice()));
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    assert_eq!(Pins::load(Path::new("/nonexistent/pins")).unwrap_err().exit_code(), 2);
    assert!(Pins::load_if_there(Path::new("/nonexistent/pins")).is_ok());
}
