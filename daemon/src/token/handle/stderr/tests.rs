use tokio::time::Instant;

use super::{Lines, Quota, WINDOW};

async fn logged(printed: &str) -> Vec<String> {
    let mut lines = Lines { from: printed.as_bytes(), quiet: false };
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line);
    }
    all
}

#[tokio::test]
async fn what_is_printed_while_a_pin_is_in_the_module_is_not_logged() {
    let printed =
        "loaded\nunfinished\n\u{1}touchmark: secrets\n[in] pPin = 123456\n\u{1}touchmark: no secrets\ndone\n";
    assert_eq!(logged(printed).await, ["loaded", "unfinished", "done"]);
}

#[tokio::test]
async fn nothing_after_an_unfinished_call_is_logged() {
    assert!(logged("\u{1}touchmark: secrets\n123456").await.is_empty());
}

#[tokio::test]
async fn long_lines_come_in_pieces() {
    let printed = "x".repeat(1000);
    assert_eq!(logged(&printed).await.iter().map(String::len).collect::<Vec<_>>(), [400, 400, 200]);
}

#[test]
fn a_module_with_much_to_say_fills_no_log() {
    let start = Instant::now();
    let mut quota = Quota::new(start);
    assert_eq!((0..16_384).filter(|_| quota.take()).count(), 100);
    assert_eq!(quota.roll(start + WINDOW / 2), None);
    assert_eq!(quota.roll(start + WINDOW), Some(16_284), "what was left out is counted");
    assert!(quota.take());
    assert_eq!(quota.roll(start + WINDOW * 3), None, "nothing was left out since");
}
