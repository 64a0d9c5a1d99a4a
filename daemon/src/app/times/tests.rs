use std::time::Duration;

use super::*;
use crate::config::OnSleep;

fn locking(idle: u64, at_most: u64) -> Locking {
    let time = |seconds| Some(Duration::from_secs(seconds));
    Locking { idle: time(idle), at_most: time(at_most), on_sleep: OnSleep::Stay }
}

#[tokio::test(start_paused = true)]
async fn idle_and_longest_are_told_apart() {
    let now = Instant::now();
    let mut times = Times { open: Some(Open { since: now, used: now }) };
    assert_eq!(times.due(locking(10, 30)), None);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(times.due(locking(10, 30)), Some(LockReason::Idle));
    times.open.as_mut().unwrap().used = Instant::now();
    assert_eq!(times.due(locking(10, 30)), None);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(times.due(locking(100, 30)), Some(LockReason::Longest));
    let never = Locking { idle: None, at_most: None, on_sleep: OnSleep::Stay };
    assert_eq!(times.due(never), None);
    assert_eq!(Times::default().due(locking(0, 0)), None);
}
