use super::*;

#[test]
fn caps_win_over_what_is_asked_for() {
    let shown = filter(Some("trace,cryptoki=trace,yubikey=trace")).to_string();
    assert!(shown.contains("cryptoki=warn") && !shown.contains("cryptoki=trace"), "{shown}");
    assert!(shown.contains("yubikey=off") && !shown.contains("yubikey=trace"), "{shown}");
    assert!(filter(Some("what?is[this")).to_string().contains("info"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_thing_is_twenty_lines_a_minute_and_says_what_was_left_out() {
    let log = Sparingly::default();
    let written = |about: u32| (0..1000).filter_map(|_| log.line(about)).collect::<Vec<_>>();
    assert_eq!(written(1), [0; 20]);
    assert_eq!(written(2), [0; 20], "another thing has lines of its own");
    tokio::time::advance(WINDOW).await;
    let again = written(1);
    assert_eq!((again[0], again.len()), (980, 20));
    // However many things there are: those beyond the first share their lines.
    let lines = (0..100_000).filter_map(|about| log.line(about)).count();
    assert!(lines < THINGS + 20, "{lines} lines");
}
