//! What the fuzzer kept and what it begins with, through every target once more, without a fuzzer.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use touchmark_fuzz::TARGETS;

#[test]
fn no_kept_input_breaks_a_promise() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in TARGETS {
        let kept = files(&here.join("corpus").join(name));
        assert!(!kept.is_empty(), "{name} has no corpus");
        let seeds = files(&here.join("seeds").join(name));
        for file in kept.into_iter().chain(seeds) {
            let input = fs::read(&file).unwrap();
            let held = catch_unwind(|| target(&input));
            assert!(held.is_ok(), "{} breaks a promise", file.display());
        }
    }
}

/// None, where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus_that_is_small() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut programs = files(&here.join("bin"));
    programs.sort();
    let stems: Vec<_> = programs.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(stems, TARGETS.map(|(name, _)| name));
    for name in stems {
        let sizes = fs::read_dir(here.join("corpus").join(name)).unwrap();
        let sizes: Vec<u64> = sizes.map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert!(sizes.len() <= 300 && sizes.iter().sum::<u64>() <= 400_000, "{name} keeps too much");
    }
}
