use super::*;

#[test]
fn caps_win_over_what_is_asked_for() {
    let shown = filter(Some("trace,cryptoki=trace,yubikey=trace")).to_string();
    assert!(shown.contains("cryptoki=warn") && !shown.contains("cryptoki=trace"), "{shown}");
    assert!(shown.contains("yubikey=off") && !shown.contains("yubikey=trace"), "{shown}");
    assert!(filter(Some("what?is[this")).to_string().contains("info"));
}
