use super::*;

fn unix(text: &str) -> i64 {
    text.parse::<Instant>().unwrap().unix()
}

#[test]
fn times_are_read_with_any_offset_and_fraction() {
    assert_eq!(unix("1970-01-01T00:00:00Z"), 0);
    assert_eq!(unix("2036-11-19T13:46:27.247003753Z"), 2_110_715_187);
    let kolkata: Instant = "2036-11-19T19:25:57.929075417+05:30".parse().unwrap();
    assert_eq!((kolkata.unix(), kolkata.subsec_nanos()), (unix("2036-11-19T13:55:57Z"), 929_075_417));
    assert_eq!(unix("2024-02-29T00:00:00-01:00"), unix("2024-02-29T01:00:00Z"));
    assert_eq!("2024-01-01T00:00:00.5Z".parse::<Instant>().unwrap().subsec_nanos(), 500_000_000);
}

#[test]
fn what_is_no_time_is_refused() {
    let form = [
        "",
        "2024",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01t00:00:00z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-01-01T00:00:00,5Z",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+01:60",
        "2024-01-01T00:00:00Zz",
        "+024-01-01T00:00:00Z",
        "2024-1-01T00:00:00Z",
        "２024-01-01T00:00:00Z",
    ];
    for text in form {
        assert_eq!(text.parse::<Instant>(), Err(TimeError::Form), "{text}");
    }
    let impossible = [
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-12-31T23:59:60Z",
        "0000-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
    ];
    for text in impossible {
        assert_eq!(text.parse::<Instant>(), Err(TimeError::NoSuchTime), "{text}");
    }
}

#[test]
fn a_time_is_written_in_whole_seconds_and_utc() {
    let text = "2036-11-19T13:46:27Z";
    assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
    assert_eq!("2036-11-19T19:16:27.9+05:30".parse::<Instant>().unwrap().to_string(), text);
    assert_eq!(Instant::from_unix(i64::MIN).to_string(), "0000-01-01T00:00:00Z");
    assert_eq!(Instant::from_unix(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
}

#[test]
fn times_move_and_stay_in_range() {
    let (start, hour) = (Instant::from_unix(0), Duration::from_secs(3600));
    assert_eq!(start.plus(hour).unix(), 3600);
    assert_eq!(start.minus(hour).unix(), -3600);
    assert_eq!(start.plus(hour).since(start), Some(hour));
    assert_eq!(start.since(start.plus(hour)), None);
    assert_eq!(start.plus(Duration::MAX), Instant::from_unix(i64::MAX));
    assert_eq!(start.minus(Duration::MAX), Instant::from_unix(i64::MIN));
    let early = start.minus(Duration::from_nanos(1));
    assert_eq!((early.unix(), early.subsec_nanos()), (-1, 999_999_999));
    assert_eq!(Instant::from_system(UNIX_EPOCH + hour), start.plus(hour));
    assert_eq!(Instant::from_system(UNIX_EPOCH - hour), start.minus(hour));
}

#[test]
fn only_gos_own_form_of_a_time_is_gos() {
    for text in [
        "2036-11-19T13:46:27Z",
        "2036-11-19T13:46:27.123Z",
        "2036-11-19T13:46:27.000000001Z",
        "2036-11-19T13:46:27+02:00",
        "2036-11-19T19:25:57.929075417-05:30",
    ] {
        let expires: Expires = text.parse().unwrap();
        assert!(expires.is_go_form(), "{text}");
        assert_eq!(expires.text(), text);
    }
    for text in [
        "2036-11-19T13:46:27.000Z",
        "2036-11-19T13:46:27.120Z",
        "2036-11-19T13:46:27.0Z",
        "2036-11-19T13:46:27+00:00",
        "2036-11-19T13:46:27-00:00",
    ] {
        assert!(!text.parse::<Expires>().unwrap().is_go_form(), "{text}");
    }
}

#[test]
fn the_last_second_still_counts() {
    let expires = Expires::at(Instant::from_unix(1000).plus(Duration::from_millis(900)));
    assert_eq!(expires.text(), "1970-01-01T00:16:40Z");
    assert!(!expires.has_passed(Instant::from_unix(1000)));
    assert!(expires.has_passed(Instant::from_unix(1000).plus(Duration::from_nanos(1))));
}
