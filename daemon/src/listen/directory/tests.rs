use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::policy::Caller;

/// Answers when it is told to, and counts the questions.
struct Slow {
    go: Mutex<mpsc::Receiver<()>>,
    questions: AtomicUsize,
}

impl Peers for Slow {
    fn peer(&self, uid: u32, gid: u32) -> Peer {
        self.questions.fetch_add(1, Ordering::SeqCst);
        self.go.lock().unwrap().recv().expect("the word to go on");
        Peer { caller: Caller { uid, gid, groups: vec![], name: None }, admitted: true }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_come_at_once_are_one_question_to_a_slow_database() {
    let (answer, go) = mpsc::channel();
    let slow = Arc::new(Slow { go: Mutex::new(go), questions: AtomicUsize::new(0) });
    let directory = Directory::new(Arc::clone(&slow) as Arc<dyn Peers>);
    let mut waiting: Vec<_> = (0..1000).map(|_| Box::pin(directory.find(7, 8))).collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    // Those who asked first lose patience; their question stands.
    let rest = waiting.split_off(900);
    drop(waiting);
    answer.send(()).unwrap();
    for one in rest {
        assert_eq!(one.await.unwrap().caller.uid, 7);
    }
    assert_eq!(slow.questions.load(Ordering::SeqCst), 1);
    assert_eq!(directory.find(7, 8).await.unwrap().caller.gid, 8);
    assert_eq!(slow.questions.load(Ordering::SeqCst), 1, "still fresh");
    tokio::time::advance(FRESH).await;
    answer.send(()).unwrap();
    assert_eq!(directory.find(7, 8).await.unwrap().caller.gid, 8);
    assert_eq!(slow.questions.load(Ordering::SeqCst), 2, "a later one is asked anew");
}
