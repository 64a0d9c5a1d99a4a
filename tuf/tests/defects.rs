//! One file for each thing that can be wrong, under `data/defects`, and the refusal that it must meet.
//!
//! - `exact-*`: a signed part that must not be signed. `file-*`: a file that must not even be read.
//! - `trust-*`: what a reader is served, one step a line; the last one must be refused.
//!
//! The files are made here with fixed keys: `TOUCHMARK_BLESS=1 cargo test -p touchmark-tuf --test defects` writes them.
#[cfg(test)]
#[path = "../src/testing.rs"]
#[expect(dead_code, reason = "made for the unit tests too")]
mod testing;

#[cfg(test)]
#[path = "defects/exact.rs"]
mod exact;
#[cfg(test)]
#[path = "defects/file.rs"]
mod file;
#[cfg(test)]
#[path = "defects/trust.rs"]
mod trust;

#[cfg(test)]
mod fixtures {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::{exact, file, trust};

    fn folder() -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "tests", "data", "defects"].iter().collect()
    }

    /// The file of that name, which must be what the maker makes.
    fn load(name: &str, made: &[u8]) -> Vec<u8> {
        let path = folder().join(name);
        if std::env::var_os("TOUCHMARK_BLESS").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, made).unwrap();
        }
        let found = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found, made, "{name} is not what its maker makes");
        found
    }

    #[test]
    fn a_signed_part_with_a_defect_is_not_signed() {
        for case in exact::cases() {
            let error = case.kind.read(&load(&case.name, &case.made)).expect_err(&case.name);
            assert!((case.expected)(&error), "{}: {error:?}", case.name);
        }
    }

    #[test]
    fn a_file_with_a_defect_is_not_read() {
        for case in file::cases() {
            let error = case.kind.parse(&load(&case.name, &case.made)).expect_err(&case.name);
            assert!((case.expected)(&error), "{}: {error:?}", case.name);
        }
    }

    #[test]
    fn a_repository_with_a_defect_is_not_believed() {
        for case in trust::cases() {
            let steps = load(&case.name, &case.made);
            let (last, before) = trust::run(&steps);
            assert_eq!(before, Ok(()), "{}: only the last step may be refused", case.name);
            let error = last.expect_err(&case.name);
            assert!((case.expected)(&error), "{}: {error:?}", case.name);
        }
    }

    #[test]
    fn every_file_there_is_tried() {
        let names = exact::cases().into_iter().map(|case| case.name);
        let names = names.chain(file::cases().into_iter().map(|case| case.name));
        let names: Vec<String> = names.chain(trust::cases().into_iter().map(|case| case.name)).collect();
        let set: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(set.len(), names.len(), "no name twice");
        let found = std::fs::read_dir(folder()).unwrap();
        let found: BTreeSet<String> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(found, set);
    }
}
