use std::os::unix::net::UnixListener;

use super::*;

/// A socket whose queue is full, and those who stand in it.
fn full(folder: &Path) -> (UnixListener, std::path::PathBuf, Vec<UnixStream>) {
    let path = folder.join("tm.sock");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let first = Blocking::connect(&path).unwrap();
    first.set_nonblocking(true).unwrap();
    (listener, path, vec![UnixStream::from_std(first).unwrap()])
}

#[tokio::test]
async fn whoever_finds_the_queue_full_waits_in_line_and_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, path, _first) = full(folder.path());
    let at_once = UnixStream::connect(&path).await.unwrap_err();
    assert_eq!(at_once.kind(), io::ErrorKind::WouldBlock, "without waiting nobody gets in");
    let waiting = tokio::spawn(async move { connect(&path).await });
    tokio::task::spawn_blocking(move || {
        let _both = [listener.accept().unwrap(), listener.accept().unwrap()];
    })
    .await
    .unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_queue_that_stays_full_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, path, _first) = full(folder.path());
    assert_eq!(connect(&path).await.unwrap_err().kind(), io::ErrorKind::WouldBlock);
}
