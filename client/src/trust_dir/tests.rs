use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn gun(text: &str) -> Gun {
    text.parse().unwrap()
}

fn files(pairs: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    for (role, text) in pairs {
        files.insert(role.parse().unwrap(), text.as_bytes().to_vec());
    }
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const ALL: &[(&str, &str)] = &[
    ("root", "r"),
    ("targets", "t"),
    ("snapshot", "s"),
    ("timestamp", "ts"),
    ("targets/releases", "tr"),
    ("targets/a/b", "ab"),
];

#[test]
fn what_is_committed_lies_where_docker_looks_and_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().join("trust")), gun("localhost:5000/ntry/a"));
    assert_eq!(dir.load(&gun).unwrap(), Files::default());
    assert_eq!(dir.commit(&gun, &Files::default(), &files(ALL)).unwrap(), Commit::Done);
    let metadata = folder.path().join("trust/tuf/localhost:5000/ntry/a/metadata");
    assert_eq!(fs::read(metadata.join("targets/releases.json")).unwrap(), b"tr");
    assert_eq!(fs::read(metadata.join("timestamp.json")).unwrap(), b"ts");
    assert_eq!((mode(&metadata), mode(&metadata.join("targets/a"))), (0o700, 0o700));
    assert_eq!(mode(&metadata.join("root.json")), 0o600);
    assert_eq!(dir.load(&gun).unwrap(), files(ALL));
    assert_eq!(dir.guns().unwrap(), [gun]);
    let names: Vec<_> = fs::read_dir(&metadata).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "no temporary file stays: {names:?}");
}

#[test]
fn a_commit_on_an_outdated_view_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().to_owned()), gun("a/b"));
    let other = files(&[("root", "another root")]);
    dir.commit(&gun, &Files::default(), &other).unwrap();
    assert_eq!(dir.commit(&gun, &Files::default(), &files(ALL)).unwrap(), Commit::Overtaken);
    assert_eq!(dir.load(&gun).unwrap(), other);
    assert_eq!(dir.commit(&gun, &other, &files(ALL)).unwrap(), Commit::Done);
}

#[test]
fn eight_threads_leave_one_whole_set() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().to_owned()), gun("a/b"));
    let sets: Vec<Files> = (0..8)
        .map(|n: u8| {
            let text = n.to_string().repeat(10_000);
            files(&[("root", &text), ("targets", &text), ("snapshot", &text), ("timestamp", &text)])
        })
        .collect();
    let done: usize = std::thread::scope(|scope| {
        let run =
            |set: &Files| usize::from(dir.commit(&gun, &Files::default(), set).unwrap() == Commit::Done);
        let threads: Vec<_> = sets.iter().map(|set| scope.spawn(move || run(set))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(done, 1);
    assert!(sets.contains(&dir.load(&gun).unwrap()));
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.json");
    let other = folder.path().join("snapshot.json");
    replace(&[(path.clone(), b"old"), (other.clone(), b"old")]).unwrap();
    fs::create_dir(folder.path().join("root.json.touchmark")).unwrap();
    let written = replace(&[(other.clone(), b"new"), (path.clone(), b"new")]);
    assert!(matches!(written, Err(TrustDirError::Unwritable { .. })));
    assert_eq!([fs::read(&path).unwrap(), fs::read(&other).unwrap()], [b"old", b"old"]);
    assert!(!folder.path().join("snapshot.json.touchmark").exists());
}

#[test]
fn what_is_there_already_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().to_owned()), gun("a"));
    dir.commit(&gun, &Files::default(), &files(ALL)).unwrap();
    let path = folder.path().join("tuf/a/metadata/root.json");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let kept = dir.load(&gun).unwrap();
    fs::remove_dir_all(folder.path().join(".touchmark")).unwrap();
    assert_eq!(dir.commit(&gun, &kept, &files(ALL)).unwrap(), Commit::Done);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert!(!folder.path().join(".touchmark").exists(), "not even a lock is made");
}

#[test]
fn forgetting_leaves_docker_s_staged_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().to_owned()), gun("a"));
    assert_eq!(dir.forget(&gun).unwrap(), Forgotten::Unknown);
    dir.commit(&gun, &Files::default(), &files(ALL)).unwrap();
    fs::create_dir(folder.path().join("tuf/a/changelist")).unwrap();
    assert_eq!(dir.forget(&gun).unwrap(), Forgotten::Gone);
    assert!(dir.load(&gun).unwrap().is_empty());
    assert!(folder.path().join("tuf/a/changelist").exists());
    assert_eq!(dir.guns().unwrap(), []);
}

#[test]
fn a_repository_may_be_called_metadata_and_have_others_below() {
    let folder = tempfile::tempdir().unwrap();
    let dir = TrustDir::new(folder.path().to_owned());
    for name in ["a", "a/metadata", "a/b/c"] {
        dir.commit(&gun(name), &Files::default(), &files(ALL)).unwrap();
    }
    assert_eq!(dir.guns().unwrap(), ["a", "a/b/c", "a/metadata"].map(gun));
}

#[test]
fn an_oversized_cache_file_is_absent_but_an_oversized_root_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, gun) = (TrustDir::new(folder.path().to_owned()), gun("a"));
    dir.commit(&gun, &Files::default(), &files(ALL)).unwrap();
    let metadata = folder.path().join("tuf/a/metadata");
    let long = vec![b' '; limits::ROOT_BYTES.max(limits::TIMESTAMP_BYTES) + 1];
    fs::write(metadata.join("timestamp.json"), &long).unwrap();
    fs::write(metadata.join("root.json"), &long).unwrap();
    let kept = dir.load(&gun).unwrap();
    assert!(kept.get(&RoleName::Timestamp).is_none());
    assert!(kept.get(&RoleName::Root).is_some());
}
