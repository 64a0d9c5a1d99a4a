use tokio::io::DuplexStream;

use super::*;

fn caller(uid: u32) -> Caller {
    Caller { uid, gid: uid, groups: vec![], name: None }
}

type Seen = Arc<Mutex<Vec<Intrusion>>>;

fn prompts() -> (Arc<Prompts>, Seen) {
    let seen = Seen::default();
    let keep = Arc::clone(&seen);
    let memory = Locked::open(Some(crate::vault::MemoryKind::Mlock), 1).unwrap();
    (Prompts::new(memory, move |intrusion| keep.lock().unwrap().push(intrusion)), seen)
}

fn want(uid: u32) -> Want {
    Want { uid, request: "r-1".into(), max_length: 16 }
}

/// Sends a secret as a client does and returns the status byte, if one comes.
async fn send(prompts: &Arc<Prompts>, handle: Handle, uid: u32, secret: &[u8]) -> Option<u8> {
    let (mut ours, theirs) = tokio::io::duplex(256);
    let serving = Arc::clone(prompts);
    let served = tokio::spawn(async move { serving.receive(theirs, handle, &caller(uid)).await });
    let status = answer(&mut ours, secret).await;
    drop(ours);
    served.await.unwrap();
    status
}

async fn answer(ours: &mut DuplexStream, secret: &[u8]) -> Option<u8> {
    let length = u16::try_from(secret.len()).unwrap();
    drop(ours.write_all(&length.to_be_bytes()).await);
    drop(ours.write_all(secret).await);
    ours.read_u8().await.ok()
}

#[tokio::test]
async fn a_secret_reaches_the_one_who_waits() {
    let (prompts, seen) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let handle = prompt.handle();
    assert_eq!(send(&prompts, handle, 7, b"123456").await, Some(0));
    assert_eq!(prompt.secret().await.unwrap().expose(), b"123456");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_handle_is_good_for_one_secret() {
    let (prompts, seen) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let handle = prompt.handle();
    assert_eq!(send(&prompts, handle, 7, b"123456").await, Some(0));
    assert_eq!(send(&prompts, handle, 7, b"654321").await, Some(1));
    assert_eq!(prompt.secret().await.unwrap().expose(), b"123456");
    assert_eq!(seen.lock().unwrap().first().map(|i| i.status), Some(Status::Unknown));
}

#[tokio::test]
async fn another_uid_is_told_so_and_audited_and_takes_nothing_away() {
    let (prompts, seen) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let handle = prompt.handle();
    assert_eq!(send(&prompts, handle, 8, b"123456").await, Some(2));
    {
        let seen = seen.lock().unwrap();
        let intrusion = seen.first().unwrap();
        assert_eq!((intrusion.caller.uid, intrusion.status), (8, Status::Foreign));
        assert_eq!(intrusion.request.as_deref(), Some("r-1"));
    }
    assert_eq!(send(&prompts, handle, 7, b"123456").await, Some(0));
    assert_eq!(prompt.secret().await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_wrong_handle_is_audited() {
    let (prompts, seen) = prompts();
    assert_eq!(send(&prompts, Handle::from_bytes([9; 16]), 7, b"123456").await, Some(1));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_handle_dies_with_its_request() {
    let (prompts, _) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let handle = prompt.handle();
    drop(prompt);
    assert_eq!(send(&prompts, handle, 7, b"123456").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_handle_dies_after_a_minute() {
    let (prompts, _) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let handle = prompt.handle();
    tokio::time::advance(LIFETIME).await;
    assert_eq!(send(&prompts, handle, 7, b"123456").await, Some(1));
    assert_eq!(prompt.secret().await.unwrap_err(), PromptError::Expired);
}

#[tokio::test]
async fn nothing_and_too_much_are_no_answers() {
    for secret in [&b""[..], &[b'x'; 17]] {
        let (prompts, _) = prompts();
        let prompt = prompts.open(want(7)).unwrap();
        let handle = prompt.handle();
        assert_eq!(send(&prompts, handle, 7, secret).await, Some(3));
        assert_eq!(prompt.secret().await.unwrap_err(), PromptError::Broken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_stops_halfway_is_given_up() {
    let (prompts, _) = prompts();
    let prompt = prompts.open(want(7)).unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64);
    ours.write_all(&[0, 6, b'1']).await.unwrap();
    prompts.receive(theirs, prompt.handle(), &caller(7)).await;
    assert_eq!(prompt.secret().await.unwrap_err(), PromptError::Broken);
    assert!(ours.read_u8().await.is_err());
}
