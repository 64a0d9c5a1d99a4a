use super::*;

fn parsed(text: &str) -> Image {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn short_names_mean_docker_hub() {
    for (typed, gun, familiar) in [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("icho/alpine:trusted", "docker.io/icho/alpine", "icho/alpine"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("localhost:5000/ntry/a", "localhost:5000/ntry/a", "localhost:5000/ntry/a"),
        ("Registry/a", "Registry/a", "Registry/a"),
        ("[::1]:5000/a/b", "[::1]:5000/a/b", "[::1]:5000/a/b"),
        ("a.b/c", "a.b/c", "a.b/c"),
    ] {
        let image = parsed(typed);
        assert_eq!(image.gun().as_str(), gun, "{typed}");
        assert_eq!(image.familiar(), familiar, "{typed}");
    }
}

#[test]
fn a_name_is_shown_so_that_it_means_the_same_when_it_is_typed() {
    let id = "a".repeat(64);
    for full in [
        "docker.io/library/team/app",
        "docker.io/evil.example.com/app",
        "docker.io/localhost/app",
        "docker.io/index.docker.io/app",
        &format!("docker.io/library/{id}"),
    ] {
        let image = parsed(full);
        assert_eq!(image.gun().as_str(), full);
        assert_eq!(parsed(image.familiar()), image, "{full} is shown as {}", image.familiar());
    }
}

#[test]
fn a_port_is_no_tag_and_a_tag_is_no_port() {
    let image = parsed("localhost:5000/a:5000");
    assert_eq!(image.host().as_str(), "localhost:5000");
    assert_eq!(image.tag().map(TargetName::as_str), Some("5000"));
    let image = parsed("localhost:5000");
    assert!(image.host().is_hub());
    assert_eq!(image.repository(), "library/localhost");
}

#[test]
fn tag_and_digest_may_stand_together() {
    let hex = "26f475fd99850afc51dc000343".to_owned() + &"0".repeat(38);
    let image = parsed(&format!("a/b:1@sha256:{hex}"));
    assert_eq!(image.digest().map(ToString::to_string), Some(hex));
    assert_eq!(image.tag().map(TargetName::as_str), Some("1"));
}

#[test]
fn a_wrong_reference_names_its_wrong_part() {
    let id = "a".repeat(64);
    let long = "a/".repeat(130) + "a";
    for (typed, wanted) in [
        ("", ImageError::Empty),
        ("Alpine", ImageError::Component("Alpine".into())),
        ("a//b", ImageError::Component(String::new())),
        ("a/../b", ImageError::Component("..".into())),
        ("a/b_", ImageError::Component("b_".into())),
        ("a___b", ImageError::Component("a___b".into())),
        ("a/b:", ImageError::Tag(String::new())),
        ("a/b:.x", ImageError::Tag(".x".into())),
        ("a/b:1@sha256:zz", ImageError::Digest("sha256:zz".into())),
        ("a/b@sha512:00", ImageError::Digest("sha512:00".into())),
        ("host:port/a", ImageError::Host("host:port".into())),
        ("host:99999/a", ImageError::Host("host:99999".into())),
        ("-x.y/a", ImageError::Host("-x.y".into())),
        (id.as_str(), ImageError::Id(id.clone())),
        (long.as_str(), ImageError::TooLong),
    ] {
        assert_eq!(typed.parse::<Image>().unwrap_err(), wanted, "{typed}");
    }
}

#[test]
fn only_literal_names_of_this_machine_are_loopback() {
    for (host, loopback) in [
        ("localhost", true),
        ("localhost:5000", true),
        ("127.0.0.1:5000", true),
        ("127.1.2.3", true),
        ("[::1]:5000", true),
        ("registry.example.com", false),
        ("localhost.example.com", false),
        ("10.0.0.1:5000", false),
    ] {
        assert_eq!(host.parse::<Host>().unwrap().is_loopback(), loopback, "{host}");
    }
}

#[test]
fn an_error_for_people_shows_control_characters_escaped() {
    let error = Image::parse("a/b\u{202e}c").unwrap_err();
    assert!(!error.message.contains('\u{202e}'), "{}", error.message);
}
